package lab

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/machine"
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
		"no file here":    {Program: []string{"./true"}}, // which PATH has
		"share":           {Program: []string{"true"}, Shares: []string{"/nowhere"}},
		"serial log":      {Program: []string{"true"}, Serial: "/nowhere/log"},
		"serial dir":      {Program: []string{"true"}, Serial: "/tmp"},
		"memory":          {Program: []string{"true"}, Memory: 1 << 20},
		"CPUs":            {Program: []string{"true"}, CPUs: -1},
		"disk":            {Program: []string{"true"}, Disk: 1 << 20},
		"absurd memory":   {Program: []string{"true"}, Memory: 9999999 << 20},
		"absurd disk":     {Program: []string{"true"}, Disk: 99999999999 << 20},
		"negative disk":   {Program: []string{"true"}, Disk: -1},
		"negative memory": {Program: []string{"true"}, Memory: -1},
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
	for _, want := range []string{"PATH=/bin", "TMPDIR=" + proto.GuestTmp, "A=b c"} {
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
	if err != nil || len(shares) != 2 || shares[0] != (proto.Share{Tag: "share0", Path: dir}) || !filepath.IsAbs(shares[1].Path) {
		t.Errorf("shares %+v, %v", shares, err)
	}
	file := filepath.Join(dir, "file")
	labtest.WriteFile(t, file, "")
	for _, bad := range []string{file, filepath.Join(dir, "none")} {
		_, err := (&Config{Shares: []string{bad}}).sharedDirs()
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) {
			t.Errorf("share %s: %v, want a usage error", bad, err)
		}
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
}

// TestTimerSlack: who asks for one gets it; else it is the kernel's, but under software emulation.
func TestTimerSlack(t *testing.T) {
	for _, tt := range []struct {
		given time.Duration
		accel machine.Accel
		want  time.Duration
	}{
		{0, machine.TCG, EmulatedTimerSlack}, {0, machine.KVM, 0},
		{time.Microsecond, machine.TCG, time.Microsecond}, {time.Microsecond, machine.KVM, time.Microsecond},
	} {
		if got := (&Config{TimerSlack: tt.given, Accel: tt.accel}).timerSlack(); got != tt.want {
			t.Errorf("%v of a guest under %s that was given %v, want %v", got, tt.accel, tt.given, tt.want)
		}
	}
}
