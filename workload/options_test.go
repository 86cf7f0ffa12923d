package workload

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOptionsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"--holder nvme":     func(o *Options) { o.Scenario.Holder = "nvme" },
		"--fs zfs":          func(o *Options) { o.Scenario.Filesystem = "zfs" },
		"--strip magic":     func(o *Options) { o.Scenario.Strip = "magic" },
		"--mutation rename": func(o *Options) { o.Scenario.Mutation = "rename" },
		"--connection UD":   func(o *Options) { o.Connection = "UD" },
		"--verb send":       func(o *Options) { o.Verb = "send" },
		"--backend magic":   func(o *Options) { o.Backend = "magic" },
		"--observe maybe":   func(o *Options) { o.Observe = "maybe" },
		"--file-size 5000":  func(o *Options) { o.FileBytes = 5000 },
		"--anon-size 0":     func(o *Options) { o.AnonBytes = 0 },
		"--size 0":          func(o *Options) { o.MessageBytes = 0 },
		"--qp 0":            func(o *Options) { o.QueuePairs = 0 },
		"--ib-port 0":       func(o *Options) { o.Port = 0 },
		"--iters -1":        func(o *Options) { o.Iterations = -1 },
		"--iters 1023":      func(o *Options) { o.Iterations = 1023 },
		"exclude each":      func(o *Options) { o.Iterations, o.Duration = 2000, time.Second },
	} {
		o, err := Preset("quick")
		if err != nil {
			t.Fatal(err)
		}
		if err := o.validate(); err != nil {
			t.Fatalf("the preset itself: %v", err)
		}
		spoil(&o)
		wantUsage(t, o.validate(), want)
	}
	_, err := Preset("slow")
	wantUsage(t, err, "--preset slow: choose quick")
}

func TestFileRefused(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "umemstress-test-*") // a tmpfs on every Linux
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(shm)
	ext4, _ := find(filesystems, "ext4")
	_, err = openTarget(filepath.Join(shm, "file"), ext4)
	wantUsage(t, err, "it is on tmpfs")
	_, err = openTarget("/nonexistent/file", ext4)
	wantUsage(t, err, "directory must exist")
	if names, _ := os.ReadDir(shm); len(names) > 0 {
		t.Errorf("%s was left behind", names[0].Name())
	}
}
