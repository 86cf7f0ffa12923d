package kernels

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/labtest"
)

// onSmallDisk runs the test in a process of its own on a tmpfs of so many bytes, which no
// other process sees. It returns the directory there, and "" in the process that started it.
func onSmallDisk(t *testing.T, bytes int) string {
	t.Helper()
	const marker = "TEST_ON_SMALL_DISK"
	if dir := os.Getenv(marker); dir != "" {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(bytes)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), marker+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return ""
}

// isFull holds an error to be one short sentence on a full cache.
func isFull(t *testing.T, err error, dir string) {
	t.Helper()
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), "the cache "+dir) || !strings.Contains(err.Error(), "XDG_CACHE_HOME") ||
		len(err.Error()) > 900 || strings.Contains(err.Error(), "\n") {
		t.Errorf("on a full disk: %v", err)
	}
}

// A package that does not fit is refused before it is unpacked where it says how large it
// is, and in one sentence where it does not.
func TestUnpackOnFullDisk(t *testing.T) {
	dir := onSmallDisk(t, 4<<20+preparedBytes)
	if dir == "" {
		return
	}
	s := &Store{Dir: filepath.Join(dir, "kernels")}
	many := pkg{name: "linux-image", release: "6.1.0-1-amd64", version: "1", files: "image+modules", fat: 128 << 20, filler: 2000}
	files := t.TempDir()
	isFull(t, fill(t, s, many.build(t, files)), s.Dir)
	many.version, many.installed = "2", 400<<10
	err := fill(t, s, many.build(t, files))
	isFull(t, err, s.Dir)
	if !strings.Contains(err.Error(), "takes up to 520 MiB") {
		t.Errorf("%v", err)
	}
}

// fill has a kernel unpacked with no more room than 4 MiB on top of what is asked for.
func fill(t *testing.T, s *Store, path string) error {
	t.Helper()
	_, err := s.FromPackages(t.Context(), []string{path})
	return err
}

// apt-get, which waits for ever on a full disk, is not started on one, and is ended on one
// that becomes full.
func TestAptOnFullDisk(t *testing.T) {
	dir := onSmallDisk(t, 1<<20)
	if dir == "" {
		return
	}
	started := fakeApt(t, `echo started >>"$log"`, "")
	s := &Store{Dir: filepath.Join(dir, "kernels"), mirror: &apt{dir: filepath.Join(dir, "apt")}}
	_, err := s.Fetch(t.Context(), "6.1")
	isFull(t, err, dir)
	if said, _ := os.ReadFile(started); strings.Contains(string(said), "started") {
		t.Error("apt-get was started on a disk without room")
	}
	fakeApt(t, `dd if=/dev/zero of=`+dir+`/apt/filler bs=64k 2>/dev/null; sleep 1000`, "")
	a := &apt{dir: filepath.Join(dir, "apt")}
	begin := time.Now()
	_, err = a.get(t.Context(), dir, "update")
	isFull(t, err, dir)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("ended after %s", took)
	}
}

// fakeApt has apt-get and apt-cache in PATH that do as the scripts say; $log is the file
// whose name is returned.
func fakeApt(t *testing.T, update, show string) string {
	t.Helper()
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	keep := "#!/bin/sh\nlog=" + log + "\n"
	get := keep + `case "$*" in
*indextargets*) echo Debian bookworm http://mirror.example/debian/ ;;
*) ` + update + ` ;;
esac
`
	for name, script := range map[string]string{"apt-get": get, "apt-cache": keep + show + "\n"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/sbin:/usr/bin:/sbin:/bin")
	return log
}

// An apt-get that writes nothing any more is ended.
func TestAptWithoutProgress(t *testing.T) {
	fakeApt(t, "sleep 1000", "")
	a := &apt{dir: t.TempDir(), patience: 200 * time.Millisecond}
	_, err := a.get(t.Context(), a.dir, "update")
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !strings.Contains(err.Error(), "no progress for 200ms") {
		t.Errorf("%v", err)
	}
}

// Package lists that were damaged are fetched anew, once.
func TestDamagedLists(t *testing.T) {
	const good = "Package: linux-image-6.1.0-56-amd64\nVersion: 6.1.192-2\n"
	dir := t.TempDir()
	list := filepath.Join(dir, "lists/x_Packages.lz4")
	log := fakeApt(t, `echo update >>"$log"; mkdir -p `+dir+`/lists; [ -e `+list+` ] || printf '`+strings.ReplaceAll(good, "\n", `\n`)+`' >`+list,
		`grep -q Package: `+list+` || { echo "E: LZ4F: `+list+` Read error (-1: ERROR_GENERIC)" >&2; exit 100; }; cat `+list)
	a := &apt{dir: dir}
	for _, damage := range []string{"", "PK", strings.Repeat("\xff", 4096)} {
		if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, list, damage)
		found, err := a.list(t.Context(), []string{"bookworm"})
		if err != nil || len(found) != 1 || found[0].Release != "6.1.0-56-amd64" {
			t.Errorf("%q: %v, %v", damage, found, err)
		}
	}
	if said, _ := os.ReadFile(log); strings.Count(string(said), "update") != 6 {
		t.Errorf("the lists were read %d times, want twice for each", strings.Count(string(said), "update"))
	}
	// What is not mended by that is told.
	fakeApt(t, "true", "echo 'E: no such option' >&2; exit 100")
	if _, err := a.list(t.Context(), []string{"bookworm"}); err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("%v", err)
	}
}

// A mirror that cannot be reached is the host's lack.
func TestMirrorThatIsNotThere(t *testing.T) {
	fakeApt(t, "echo 'E: Failed to fetch http://mirror.example/debian/dists/bookworm/InRelease  Temporary failure resolving' >&2; exit 100", "")
	_, err := (&apt{dir: t.TempDir()}).list(t.Context(), []string{"bookworm"})
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), "Temporary failure resolving") {
		t.Errorf("%v", err)
	}
}

func TestRoomFor(t *testing.T) {
	shown := "Package: a\nSize: 1000\nInstalled-Size: 2\n\nPackage: b\nInstalled-Size: x\nSize: -5\n\nPackage: c\nSize: 24\n"
	if got := roomFor(shown); got != preparedBytes+1000+2048+24 {
		t.Errorf("room for %d", got-preparedBytes)
	}
}

// A cache that there is no place for, or that cannot be written, is the host's lack, and root
// makes no home for it.
func TestNoPlaceForCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	for home, says := range map[string]string{
		"":                                   "no place for the cache",
		filepath.Join(t.TempDir(), "absent"): "does not exist; set HOME or XDG_CACHE_HOME",
	} {
		t.Setenv("HOME", home)
		_, err := DefaultStore()
		var lacks interface{ HostLacks() bool }
		if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), says) {
			t.Errorf("HOME=%q: %v", home, err)
		}
		if home != "" {
			if _, err := os.Stat(home); !os.IsNotExist(err) {
				t.Errorf("%s was made: %v", home, err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	labtest.WriteFile(t, file, "")
	s, m := newTestStore(t, stockKernel{"6.1.0-56-amd64", "6.1.192-2"})
	s.Dir = filepath.Join(file, "kernels")
	_, err := s.Find(t.Context(), "6.1")
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || m.looked.Load() != 0 {
		t.Errorf("in a file: %v, after %d looks at the mirror", err, m.looked.Load())
	}
}
