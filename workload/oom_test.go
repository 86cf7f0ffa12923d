package workload

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestIsSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "knob")
	for content, want := range map[string]bool{"0\n": false, "1\n": true, "2\n": true} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := isSet(file); err != nil || got != want {
			t.Errorf("%q: %v, %v", content, got, err)
		}
	}
	if _, err := isSet(file + "s"); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// The hog comes to nearly all memory of a large machine within its time.
func TestHogStep(t *testing.T) {
	for _, memory := range []int64{1 << 30, 24 << 30, 512 << 30, 2 << 40} {
		left, steps := memory, int64(0)
		for ; left > 64<<20; steps++ {
			left -= hogStep(left)
		}
		// Some 0.5 s a GiB, for a processor that clears 2 GiB/s, and the pause.
		if took := time.Duration(memory>>30)*time.Second/2 + time.Duration(steps)*pressurePause; took > pressureBound(memory) {
			t.Errorf("%d GiB take %v in %d steps, more than %v", memory>>30, took, steps, pressureBound(memory))
		}
	}
}
