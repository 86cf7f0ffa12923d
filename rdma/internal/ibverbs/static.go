//go:build !ibverbs

package ibverbs

// CanLoad says whether this program can load a library at all.
const CanLoad = false

func open(string, error) (uintptr, error) { return 0, ErrStatic }

// Nothing was opened, so that nobody has anything to look for or to call.
func symbol(uintptr, string) (uintptr, error) { return 0, ErrStatic }
func callC(uintptr, ...uintptr) uintptr       { panic(ErrStatic) }
