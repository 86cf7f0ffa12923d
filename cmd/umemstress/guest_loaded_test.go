//go:build guest

package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// noModules wants modules gone, soon, and does each time what is to help.
func noModules(t *testing.T, modules []string, help func()) {
	t.Helper()
	var found []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		help()
		found = slices.DeleteFunc(slices.Clone(modules), func(name string) bool {
			_, err := os.Stat("/sys/module/" + name)
			return err != nil
		})
		if len(found) == 0 {
			return
		}
	}
	t.Errorf("modules are still loaded: %q", found)
}

func nothing() {}

// haveModules has the first of the modules loaded for the time of the test, and the others, which
// it needs.
func haveModules(t *testing.T, modules []string) {
	t.Helper()
	if out, err := exec.Command("modprobe", modules[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		noModules(t, modules, func() { // a socket uses vsock for a second after its end
			for _, name := range modules {
				_ = exec.Command("modprobe", "-qr", name).Run() // what it did is looked at
			}
		})
	})
}
