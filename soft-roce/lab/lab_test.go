package lab

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	c, err := Config{Program: []string{"true"}}.defaults()
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c.Memory != 2<<30 || c.CPUs < 1 || c.CPUs > 4 || c.Disk != 8<<30 || c.Dir != wd || c.Stdout != io.Discard {
		t.Errorf("defaults: %+v", c)
	}
	for name, bad := range map[string]Config{
		"no program":      {},
		"unknown program": {Program: []string{"no-such-program"}},
		"no file":         {Program: []string{"./no-such-program"}, Dir: "/tmp"},
		"memory":          {Program: []string{"true"}, Memory: 1 << 20},
		"CPUs":            {Program: []string{"true"}, CPUs: -1},
		"disk":            {Program: []string{"true"}, Disk: 1 << 20},
	} {
		_, err := bad.defaults()
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PATH", "/bin")
	t.Setenv("SECRET", "x")
	c := Config{Env: []string{"A=b c"}}
	env := c.environment()
	for _, want := range []string{"PATH=/bin", "TMPDIR=" + guestTmp, "A=b c"} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s in %q", want, env)
		}
	}
	if slices.Contains(env, "SECRET=x") {
		t.Errorf("the caller's environment leaks: %q", env)
	}
}

func TestSharedDirs(t *testing.T) {
	dir := t.TempDir()
	c := Config{Shares: []string{dir, "."}}
	shares, err := c.sharedDirs()
	if err != nil || len(shares) != 2 || shares[0] != (share{"share0", dir}) || !filepath.IsAbs(shares[1].Path) {
		t.Errorf("shares %+v, %v", shares, err)
	}
	file := filepath.Join(dir, "file")
	writeFile(t, file, "")
	for _, bad := range []string{file, filepath.Join(dir, "none")} {
		_, err := (&Config{Shares: []string{bad}}).sharedDirs()
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) {
			t.Errorf("share %s: %v, want a usage error", bad, err)
		}
	}
}

func TestCustomKernelChecksItsFiles(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "bzImage")
	modules := filepath.Join(dir, "lib/modules/6.9.0-mine")
	writeFile(t, image, "")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := CustomKernel(image, modules); err == nil || !strings.Contains(err.Error(), "depmod -b "+dir+" 6.9.0-mine") {
		t.Errorf("without modules.dep: %v", err)
	}
	writeFile(t, filepath.Join(modules, "modules.dep"), "")
	if k, err := CustomKernel(image, modules); err != nil || k.Release != "6.9.0-mine" || k.Image != image {
		t.Errorf("CustomKernel = %+v, %v", k, err)
	}
	if _, err := CustomKernel(image, dir); err == nil {
		t.Error("a directory that is not lib/modules/RELEASE was taken")
	}
	if _, err := CustomKernel(filepath.Join(dir, "none"), modules); err == nil {
		t.Error("an image that is not there was taken")
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  interface{ ExitCode() int }
		want int
		says string
	}{
		{&CrashError{Reason: "Kernel panic - not syncing: x", Serial: "/tmp/s.log"}, 20, "Kernel panic - not syncing: x (serial log: /tmp/s.log)"},
		{&LabError{Op: "start QEMU", Err: os.ErrPermission}, 21, "start QEMU: permission denied"},
	} {
		if tt.err.ExitCode() != tt.want || !strings.Contains(tt.err.(error).Error(), tt.says) {
			t.Errorf("%T: code %d, %q", tt.err, tt.err.ExitCode(), tt.err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := findTool("no-such-tool", "its-package")
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), "apt-get install --no-install-recommends its-package") {
		t.Errorf("findTool = %v", err)
	}
}

// failingWriter takes some bytes and then fails.
type failingWriter struct {
	bytes.Buffer
	room int
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.Len()+len(p) > w.room {
		return 0, io.ErrShortWrite
	}
	return w.Buffer.Write(p)
}

func TestSink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dst := &failingWriter{room: 4}
	s := newSink(r, dst)
	go s.drain()
	for _, part := range []string{"ab", "cd", "efgh"} {
		if _, err := w.WriteString(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// A writer that fails must not hold up the guest.
	if !s.waitFor(8) {
		t.Error("8 bytes were not read")
	}
	w.Close()
	if s.waitFor(9) {
		t.Error("more was read than written")
	}
	<-s.done
	if dst.String() != "abcd" || !errors.Is(s.err, io.ErrShortWrite) {
		t.Errorf("passed on %q, %v", dst.String(), s.err)
	}
}

func TestSerialLogIsKeptOnlyWhenAskedFor(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	l, err := newSerialLog("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	writeFile(t, l.path(), "boot\n") // as QEMU does
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the log has a name: %v, %v", left, err)
	}
	kept, err := os.ReadFile(l.keep())
	if err != nil || string(kept) != "boot\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	named := filepath.Join(dir, "serial.log")
	n, err := newSerialLog(named, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	writeFile(t, n.path(), "x\n")
	if n.keep() != named || string(n.read()) != "x\n" {
		t.Errorf("named log: %s, %q", n.keep(), n.read())
	}
}
