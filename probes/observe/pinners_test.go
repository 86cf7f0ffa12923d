package observe

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestPinners(t *testing.T) {
	proc := t.TempDir()
	for pid, status := range map[string]string{
		"7":    "Name:\tib_write_bw\nUmask:\t0022\nVmPin:\t    2048 kB\nVmRSS:\t9 kB\n",
		"12":   "Name:\tqemu\x1b[2J\nVmPin:\t 4194304 kB\n",
		"13":   "Name:\tbash\nVmPin:\t       0 kB\n",
		"2":    "Name:\tkthreadd\nThreads:\t1\n", // has no memory
		"14":   "Name:\tbroken\nVmPin:\t99999999999999999999 kB\n",
		"self": "Name:\tVmPin\nVmPin:\t 1 kB\n",
	} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "status"), []byte(status), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []Pinner{{12, "qemu\x1b[2J", 4 << 30}, {7, "ib_write_bw", 2 << 20}}
	got := pinners(proc)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	text := Line{Event: Started, PinnedBefore: got}.Text()
	if !strings.Contains(text, "ib_write_bw[7] 2048 KiB") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if text := (Line{Event: Started}).Text(); text != "" {
		t.Errorf("%q of nothing", text)
	}
}
