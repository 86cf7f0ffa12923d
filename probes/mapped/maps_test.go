package mapped

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
)

// shown is a mapping as show_map_vma of the kernel writes it (seq_put_hex_ll, seq_pad).
func shown(m Mapping) string {
	perms := []byte("r--p")
	if m.Writable {
		perms[1] = 'w'
	}
	if m.Shared {
		perms[3] = 's'
	}
	line := fmt.Sprintf("%08x-%08x %s %08x %02x:%02x %d ", m.Start, m.End, perms, m.Offset, m.Major, m.Minor, m.Inode)
	return fmt.Sprintf("%-73s%s\n", line, strings.ReplaceAll(m.Path, "\n", `\012`))
}

// A file is found by the name that it has, whatever the name is like.
func TestOfOddNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"two  blanks", " first", "last ", "return\r", "tab\tand\u00a0more", "new\nline", "x (deleted)", strings.Repeat("n", 255)} {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err == nil {
			err = f.Truncate(4096)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m := shared(t, int(f.Fd()), 0)
		if want := strings.ReplaceAll(path, "\n", `\012`); m.Path != want {
			t.Errorf("%q is mapped as %q", want, m.Path)
		}
	}
}

// A path too deep to be opened by its name does not hide what is mapped after it.
func TestOfDeepPath(t *testing.T) {
	deep := Mapping{Start: 0x1000, End: 0x2000, Inode: 3, Path: strings.Repeat("/"+strings.Repeat("d", 250), 300)}
	next := Mapping{Start: 0x2000, End: 0x3000, Inode: 4, Path: "/next", Writable: true}
	found, err := parse(strings.NewReader(shown(deep) + shown(next)))
	if err != nil || len(found) != 2 || found[0] != deep || found[1] != next {
		t.Errorf("%d mappings, %v", len(found), err)
	}
	broken := io.MultiReader(strings.NewReader(shown(next)), iotest.ErrReader(unix.EIO))
	if _, err := parse(broken); !errors.Is(err, unix.EIO) {
		t.Errorf("what could not be read to its end is told for all: %v", err)
	}
}

// What a process has mapped is told as the kernel shows it, or refused, whatever it named its
// files.
func FuzzMaps(f *testing.F) {
	const line = "7f2c4a000000-7f2c4a021000 rw-s 00001000 fd:01 131                        /data/my  file\n"
	for _, seed := range []string{
		line, strings.TrimRight(line, "\n"), line + "7ffd1b9d9000-7ffd1b9fa000 rw-p 00000000 00:00 0                          [stack]\n",
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
		"00400000-00401000 r-xp ffffffffffffffff fff:fffff 18446744073709551615 /x (deleted)\r\n",
		"00400000 r-xp 0 0 0 /x\n", "\n", "1-2 s 0 0:0 1 /\n", "-1--1 rw-s -1 -1:-1 -1 /x\n",
	} {
		f.Add([]byte(seed), " /odd \t name\u0085\x1b ", uint64(1), uint64(131), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string, number, inode uint64, shared bool) {
		mappings, err := parse(strings.NewReader(string(raw)))
		if err == nil {
			for _, m := range mappings {
				if m.Inode == 0 || !strings.HasPrefix(m.Path, "/") || !strings.Contains(string(raw), m.Path) {
					t.Errorf("%+v of %q", m, raw)
				}
			}
		}
		want := Mapping{
			Start: number, End: number + 4096, Offset: number * 3, Shared: shared, Writable: inode%2 == 0,
			Major: unix.Major(number), Minor: unix.Minor(number), Inode: inode, Path: "/" + name,
		}
		mappings, err = parse(strings.NewReader(shown(want)))
		want.Path = strings.ReplaceAll(want.Path, "\n", `\012`)
		if inode != 0 && (err != nil || len(mappings) != 1 || mappings[0] != want) {
			t.Errorf("%+v, %v of %q, want %+v", mappings, err, shown(want), want)
		}
	})
}
