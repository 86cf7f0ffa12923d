package observing

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"umemstress/probes/observe"
)

// A table is drawn in the place of the one before, and what ends it stands below.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, size: func() (int, int) { return 100, 10 }}
	line := observe.Line{Event: "pinned", Holder: "rdma", Path: "/data/f", Pages: 32, Owner: &observe.Process{PID: 40, Comm: "\x1b[2Jpinner"}}
	for i := range 3 {
		line.Pages = uint64(i + 1)
		s.drawn = time.Time{} // long ago
		if err := s.tell(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.tell(line); err != nil { // at once after: not drawn
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "PROCESS"); n != 3 {
		t.Errorf("drawn %d times: %q", n, out.String())
	}
	if n := strings.Count(out.String(), "\x1b[2A\r\x1b[J"); n != 2 {
		t.Errorf("went back over two lines %d times: %q", n, out.String())
	}
	if err := s.tell(observe.Line{Event: observe.Ended, Summary: &observe.Summary{Seconds: 3}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), " 9 ") || strings.Contains(out.String(), "\x1b[2J") || !strings.HasSuffix(out.String(), "dropped\x1b[K\n") {
		t.Errorf("%q", out.String())
	}
}
