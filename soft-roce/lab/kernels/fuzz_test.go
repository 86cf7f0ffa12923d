package kernels

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// isPathWord tells whether a word stays the one component of a path that it is to be.
func isPathWord(word string) bool {
	return word != "" && filepath.Join("/store", word) == "/store/"+word && !strings.Contains(word, "/")
}

func FuzzKernelJSON(f *testing.F) {
	for _, seed := range []string{
		`{"Release":"5.10.0-30-amd64","Version":"5.10.218-1"}`,
		`{"Release":"6.12.117+deb12-amd64","Version":"1:6.12.117-1~deb12u1","More":[]}`,
		`{"Release":"../../etc","Version":"1"}`, `{"Release":"a/b","Version":""}`, `{}`, `null`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		stock, err := parseStock(raw)
		if err == nil && (!isPathWord(stock.Release) || !isPathWord(stock.Version)) {
			t.Errorf("%q gives %+v", raw, stock)
		}
	})
}

// FuzzApt reads what apt and dpkg print of packages and mirrors.
func FuzzApt(f *testing.F) {
	f.Add("Package: linux-image-5.10.0-30-amd64\nVersion: 5.10.218-1\nDepends: kmod, linux-base (>= 4.3~)\n\n"+
		"Package: linux-image-7.2.13+deb14-amd64\nVersion: 7.2.13-1\n"+
		"Depends: linux-modules-7.2.13+deb14-amd64 (= 7.2.13-1), a | b\nDescription: x\n Version: in the text\n", "sid")
	f.Add("Package: linux-image-5.10.0-1-amd64\nVersion: 1\nDepends: -oX=-5.10.0-1-amd64 (= 1)\n", "5.10")
	f.Add("Package: linux-image-5.10.0-../x-amd64\nVersion: ../1\n", "5.10")
	f.Add("Debian bookworm http://mirror.example/debian/\nDebian bookworm-security http://mirror.example/security/\n", "6.1")
	f.Add(":\n\n: :\n (= )", "")
	f.Fuzz(func(t *testing.T, shown, name string) {
		for _, stock := range packagesOf(shown) {
			if !isPathWord(stock.Release) || !isPathWord(stock.Version) {
				t.Errorf("%+v", stock)
			}
			for _, part := range parts(controlFields(shown)["Depends"], stock) {
				// What apt-get takes for an option does what it likes.
				if strings.HasPrefix(part, "-") || !strings.HasSuffix(part, "-"+stock.Release+"="+stock.Version) {
					t.Errorf("part %q of %+v", part, stock)
				}
			}
		}
		list, err := sourcesList("deb", shown, []string{"sid", "bookworm-security"})
		if err == nil && strings.Count(list, "\n") > 2 {
			t.Errorf("sources %q", list)
		}
		suitesFor(name)
		offered(packagesOf(shown), name)
		if roomFor(shown) < preparedBytes {
			t.Errorf("room %d", roomFor(shown))
		}
		parseShowDepends(shown)
	})
}

// FuzzModulesOrder reads the list of modules of a tree that somebody built: what it names is in the
// tree, under the name that it is going to have where it is installed, and once.
func FuzzModulesOrder(f *testing.F) {
	for _, seed := range []string{
		"fs/ext4/ext4.o\nfs/jbd2/jbd2.o\n", "kernel/fs/ext4/ext4.ko\n", "fs/ext4/ext4.ko\nfs/ext4/ext4.ko", "", "\n", "./fs//ext4/../ext4/ext4.ko\n",
		"../../etc/x.ko\n", "/etc/x.ko\n", "fs/ext4/ext4.ko/\n", "kernel/../fs/ext4/ext4.ko\n", "kernel/kernel/fs/ext4/ext4.ko", "fs/ext4/ext4.ko\x00\r\n",
	} {
		f.Add(seed)
	}
	tree := []string{"fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko", "kernel/torture.ko", ".ko"}
	has := func(name string) bool { return slices.Contains(tree, filepath.Clean(name)) }
	f.Fuzz(func(t *testing.T, order string) {
		names, err := modulesInOrder(strings.NewReader(order), has)
		if err != nil {
			if names != nil || len(err.Error()) > 4<<10 || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %q, %v", order, names, err)
			}
			return
		}
		seen := map[string]bool{}
		for _, name := range names {
			if !slices.Contains(tree, name) || seen[name] {
				t.Errorf("%q lists %q", order, names)
			}
			seen[name] = true
		}
	})
}
