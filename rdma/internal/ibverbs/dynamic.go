//go:build ibverbs

package ibverbs

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// CanLoad says whether this program can load a library at all.
const CanLoad = true

// open loads a library with all that it needs; what keeps it from that is of the kind of the given error.
func open(name string, kind error) (uintptr, error) {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", kind, err) // which names the file
	}
	return handle, nil
}

// symbol finds a function in a library, or in what it needs.
func symbol(handle uintptr, name string) (uintptr, error) {
	return purego.Dlsym(handle, name)
}

// callC calls a C function. Of what the arguments point to, nothing is kept alive: it is no Go
// memory, or somebody else keeps it.
func callC(function uintptr, args ...uintptr) uintptr {
	result, _, _ := purego.SyscallN(function, args...)
	return result
}
