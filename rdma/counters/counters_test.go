package counters

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// What both directories of a port count is read, and what no number is, or no counter, is left out.
func TestRead(t *testing.T) {
	sysfs := t.TempDir()
	port := filepath.Join(sysfs, "class/infiniband/mlx5_0/ports/2")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(port, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"hw_counters/local_ack_timeout_err": "3\n", "hw_counters/lifespan": "12\n", "hw_counters/duplicate_request": "18446744073709551615\n",
		"counters/port_xmit_packets": "100\n", "counters/symbol_error": "0\n", "counters/VL15_dropped": "N/A (no PMA)\n", "state": "4: ACTIVE\n",
	} {
		write(name, text)
	}
	if err := os.Mkdir(filepath.Join(port, "counters/directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := Read(sysfs, "mlx5_0", 2)
	if want := (Counters{"local_ack_timeout_err": 3, "duplicate_request": 1<<64 - 1, "port_xmit_packets": 100, "symbol_error": 0}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if none := Read(sysfs, "mlx5_0", 1); len(none) != 0 {
		t.Errorf("%v of a port that is not there", none)
	}
}

// Those that rose are told, the rarest first; one that was set back has not risen.
func TestSince(t *testing.T) {
	before := Counters{"sent_pkts": 100, "rcvd_pkts": 100, "retries": 2, "rnr": 1, "reset": 9}
	risen := Counters{"sent_pkts": 1188, "rcvd_pkts": 1188, "retries": 5, "rnr": 1, "reset": 4, "new": 1}.Since(before)
	if got, want := risen.String(), "new 1, retries 3, rcvd_pkts 1088, sent_pkts 1088"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := before.Since(before).String(); got != "" {
		t.Errorf("%q rose of itself", got)
	}
}
