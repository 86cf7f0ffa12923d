package workload

import (
	"testing"
	"time"

	"umemstress/workload/internal/worktest"
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
		worktest.WantUsage(t, o.validate(), want)
	}
	_, err := Preset("slow")
	worktest.WantUsage(t, err, "--preset slow: choose quick")
}

// A holder that brings each byte once cannot repeat its traffic.
func TestHoldersBringOnce(t *testing.T) {
	for _, holder := range []string{"dio", "vmwritev"} {
		for _, repeat := range []func(*Options){
			func(o *Options) { o.Iterations = 2000 }, func(o *Options) { o.Duration = time.Second }, func(o *Options) { o.Bidirectional = true },
		} {
			o := quick()
			o.Scenario.Holder = holder
			repeat(&o)
			worktest.WantUsage(t, o.validate(), "the holder "+holder+" brings each byte once")
		}
	}
}
