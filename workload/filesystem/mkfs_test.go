package filesystem

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/workload/child"
	"umemstress/workload/scenario"
)

// fakeProgram is a program in PATH that says version for -V, usage for features or nothing,
// and notes how it was called otherwise.
func fakeProgram(t *testing.T, name, version, usage string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	script := "#!/bin/sh\ncase \"$*\" in\n-V) echo '" + version + "';;\n''|'-O list-all') echo '" + usage + "' >&2; exit 1;;\n*) echo \"$*\" >>" + dir + "/calls;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return func() string {
		text, err := os.ReadFile(dir + "/calls")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// What a newer program would turn on is turned off, and one that does not know it is not
// asked to.
func TestFeaturesPinned(t *testing.T) {
	for _, tt := range []struct{ kind, program, usage, want string }{
		{"xfs", "mkfs.xfs", "[-i size=num,nrext64=0|1]", "-q -f -K -i nrext64=0 /proc/self/fd/3\n"},
		{"xfs", "mkfs.xfs", "[-i exchange=0|1,nrext64=0|1] [-n parent=0|1]", "-q -f -K -i nrext64=0 -i exchange=0 -n parent=0 /proc/self/fd/3\n"},
		{"xfs", "mkfs.xfs", "[-i size=num]", "-q -f -K /proc/self/fd/3\n"},
		{"btrfs", "mkfs.btrfs", "block-group-tree    - block groups in a tree of their own", "-q -f -K -O ^block-group-tree /proc/self/fd/3\n"},
		{"btrfs", "mkfs.btrfs", "no-holes            - no explicit hole extents", "-q -f -K /proc/self/fd/3\n"},
	} {
		calls := fakeProgram(t, tt.program, tt.program+" version 9.9\nand more", tt.usage)
		kind, _ := scenario.Find(Kinds(), tt.kind)
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		madeBy, err := kind.make(t.Context(), f, 1<<20)
		if err != nil || madeBy != tt.program+" version 9.9" {
			t.Errorf("%s: made by %q, %v", tt.kind, madeBy, err)
		}
		if got := calls(); got != tt.want {
			t.Errorf("%s, which knows %s: %q, want %q", tt.program, tt.usage, got, tt.want)
		}
	}
}

// The programs of this host take the options, say what they are, and give ext4 the features
// that are named, and no others.
func TestMkfsHere(t *testing.T) {
	made := 0
	for _, kind := range Kinds() {
		program, _ := kind.Tool()
		if program == "" {
			continue
		}
		if _, err := child.Find(program); err != nil {
			t.Logf("%s: %s is not installed", kind.Name, program)
			continue
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const bytes = 16 << 20
		if err := f.Truncate(bytes + kind.extra + 2*kind.journalBytes(bytes)); err != nil {
			t.Fatal(err)
		}
		madeBy, err := kind.make(t.Context(), f, bytes)
		if err != nil || !strings.ContainsAny(madeBy, "0123456789") {
			t.Errorf("%s: made by %q, %v", kind.Name, madeBy, err)
			continue
		}
		made++
		dump, err := child.Find("dumpe2fs")
		if !strings.HasPrefix(kind.fstype, "ext") || err != nil {
			continue
		}
		want, _ := strings.CutPrefix(kind.mkfs[slices.Index(kind.mkfs, "-O")+1], "none,")
		if got := featuresOf(t, dump, f.Name()); !slices.Equal(got, sorted(strings.Split(want, ","))) {
			t.Errorf("%s: features %q", kind.Name, got)
		}
	}
	if made == 0 {
		t.Error("no file system could be made")
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func featuresOf(t *testing.T, dumpe2fs, image string) []string {
	t.Helper()
	out, err := exec.Command(dumpe2fs, "-h", image).Output()
	if err != nil {
		// In a guest it once died of SIGSEGV, which the kernel says more of.
		log, _ := exec.Command("dmesg").Output()
		t.Fatalf("dumpe2fs: %v; the kernel's log ends %q", err, log[max(0, len(log)-1000):])
	}
	_, line, _ := strings.Cut(string(out), "Filesystem features:")
	line, _, _ = strings.Cut(line, "\n")
	return sorted(strings.Fields(line))
}
