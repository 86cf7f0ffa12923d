package report

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"umemstress/workload/record"
)

// poison fills every text of a record with what a terminal would obey, and every number
// with one that makes the report tell of it.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("\x1b[31mX\x1b[0m\nverdict  CLEAN\t\u009b\u202e\xff")
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		poison(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		poison(v.Index(0))
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Uint64, reflect.Uint32:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(7)
	}
}

// A record may be anybody's: whatever stands in it, each line is one line of ours, and
// nothing in it moves the cursor or the eye.
func TestTextOfAStranger(t *testing.T) {
	for _, state := range []string{"", record.StateOK, record.StateAbsent, record.StateFailed} {
		var r record.Record
		poison(reflect.ValueOf(&r).Elem())
		if state != "" {
			c := &r.Channels
			for _, s := range []*string{&c.Probes.State, &c.Kmsg.State, &c.Disk.State, &c.Clone.State, &c.Cache.State, &c.WarningCount.State, &c.Accounting.State, &c.Folios.State} {
				*s = state
			}
		}
		var b strings.Builder
		if err := Text(&b, &r, "dir\x1b[2J\n"); err != nil {
			t.Fatal(err)
		}
		names := 0
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Errorf("state %q: %q", state, line)
			}
			if strings.HasPrefix(line, "verdict ") {
				names++
			}
		}
		if names != 1 || !strings.Contains(b.String(), `\x1b[31mX`) {
			t.Errorf("state %q: %d verdicts in\n%s", state, names, b.String())
		}
	}
}

// How the bytes came, and as what the region was registered, is told where it is not as usual.
func TestTextOfTraffic(t *testing.T) {
	var r record.Record
	r.Scenario.Holder, r.Traffic.Operations, r.Traffic.Seconds = "rdma", 8, 1
	r.Regions = []record.Region{{Kind: record.RegionFile}, {Kind: record.RegionAnonymous}}
	text := func() string {
		var b strings.Builder
		if err := Text(&b, &r, "dir"); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	r.Settings = record.Settings{Verb: "write", Regions: 1, Release: "dereg"}
	if usual := text(); !strings.Contains(usual, "8 operations, ") || strings.Contains(usual, "memory regions") {
		t.Error(usual)
	}
	r.Settings = record.Settings{Connection: "UC", SRQ: true, Verb: "send", Regions: 64, Release: "parallel"}
	if other := text(); !strings.Contains(other, "8 operations of send over UC, received from a shared receive queue, ") || strings.Count(other, "as 64 memory regions, released by several threads at once") != 1 {
		t.Error(other)
	}
	r.Settings = record.Settings{Verb: "write", Regions: 1, Release: "dereg", Windows: true}
	if windows := text(); strings.Count(windows, "as one memory region, reached through memory windows") != 1 {
		t.Error(windows)
	}
	r.Settings.WindowType = 2
	if windows := text(); strings.Count(windows, "as one memory region, reached through memory windows of type 2, released") != 1 {
		t.Error(windows)
	}
}

// How a region was re-registered is told, once.
func TestTextOfRereg(t *testing.T) {
	var r record.Record
	r.Scenario.Holder = "rdma"
	r.Regions = []record.Region{{Kind: record.RegionFile}, {Kind: record.RegionAnonymous}}
	for rereg, want := range map[string]string{
		"access": "as one memory region, re-registered for writing before the first write, released",
		"memory": "as one memory region, re-registered over its memory after the first write, released",
	} {
		r.Settings = record.Settings{Verb: "write", Regions: 1, Release: "dereg", Rereg: rereg}
		var b strings.Builder
		if err := Text(&b, &r, "dir"); err != nil {
			t.Fatal(err)
		}
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("%s: no %q in\n%s", rereg, want, b.String())
		}
	}
}

// What perftest's users read with their eyes and their scripts is what perftest prints.
func TestPerftest(t *testing.T) {
	var r record.Record
	print := func(gbits bool) string {
		var b strings.Builder
		if err := Perftest(&b, &r, gbits); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if nothing := print(false); !strings.Contains(nothing, "nothing was sent") {
		t.Error(nothing)
	}
	r.Settings = record.Settings{MessageBytes: 65536, TxDepth: 1}
	r.Traffic.Add(record.Traffic{Operations: 4000, Bytes: 4000 << 16, Seconds: 2, PeakBytesPerSecond: 150 << 20})
	r.Traffic.Latency = &record.Latency{Completions: 4000, Min: 1, P50: 2, P99: 3, P999: 4, Max: 5, Mean: 2.5, Deviation: 0.5}
	for gbits, want := range map[bool][]string{
		false: {" BW peak[MB/sec] ", " BW average[MB/sec] ", "65536 4000 150.00 125.00 0.002000", "65536 4000 1.00 5.00 2.00 2.50 0.50 3.00 4.00"},
		true:  {" BW peak[Gb/sec] ", " BW average[Gb/sec] ", "65536 4000 1.26 1.05 0.002000"},
	} {
		text := print(gbits)
		squeezed := strings.Join(strings.Fields(text), " ")
		for _, part := range want {
			if !strings.Contains(squeezed, part) {
				t.Errorf("gbits %v: %q is not in\n%s", gbits, part, text)
			}
		}
	}
	var b strings.Builder
	if err := Text(&b, &r, "dir"); err != nil || !strings.Contains(b.String(), "125.00 MiB/s, at best 150.00, and 2000 operations a second") ||
		!strings.Contains(b.String(), "min 1.0 µs, 50 % 2.0 µs") || strings.Contains(b.String(), "in a queue") {
		t.Errorf("%v\n%s", err, b.String())
	}
	r.Settings.TxDepth = 128
	b.Reset()
	if err := Text(&b, &r, "dir"); err != nil || !strings.Contains(b.String(), "with the time in a queue of 128") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
