package holder

import (
	"testing"
	"time"
)

// Every byte of the target is written exactly once in a pass, from the byte of
// the source that the disk check expects.
func TestPassCoversTarget(t *testing.T) {
	for _, p := range []Pass{
		{Size: 65536, Target: 1 << 20, Source: 1 << 20},
		{Size: 4096, Target: 10 * 4096, Source: 3 * 4096},
		{Size: 5000, Target: 8 * 4096, Source: 3 * 4096},
		{Size: 1 << 20, Target: 4096, Source: 64 * 4096},
		{Size: 1, Target: 4096, Source: 4096},
		{Size: 5000, Target: 9 * 4096, Source: 2 * 4096, Piece: 3 * 4096},
	} {
		var next int64
		for m := range p.Messages() {
			if m.To != next {
				t.Fatalf("%+v: message at %d, want %d", p, m.To, next)
			}
			if m.Length < 1 || m.Length > p.Size {
				t.Fatalf("%+v: message of %d bytes", p, m.Length)
			}
			if m.From != m.To%p.Source || m.From+int64(m.Length) > p.Source {
				t.Fatalf("%+v: message %+v does not come from one run of the source", p, m)
			}
			if p.Piece > 0 && m.To/p.Piece != (m.To+int64(m.Length)-1)/p.Piece {
				t.Fatalf("%+v: message %+v reaches over the end of a piece", p, m)
			}
			next += int64(m.Length)
		}
		if next != p.Target {
			t.Errorf("%+v: covers %d bytes", p, next)
		}
	}
}

func TestStopRule(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s int) func() time.Time {
		return func() time.Time { return start.Add(time.Duration(s) * time.Second) }
	}
	told := make(chan struct{})
	close(told)
	for name, c := range map[string]struct {
		rule StopRule
		sent int
		now  func() time.Time
		want bool
	}{
		"one pass, half way":          {StopRule{}, 5, at(0), false},
		"one pass, done":              {StopRule{}, 10, at(0), true},
		"messages, pass done":         {StopRule{Messages: 15}, 10, at(0), false},
		"messages, done":              {StopRule{Messages: 15}, 15, at(0), true},
		"time is up inside a pass":    {StopRule{Until: start}, 15, at(1), false},
		"time is up after a pass":     {StopRule{Until: start}, 20, at(1), true},
		"told inside a pass":          {StopRule{UntilClosed: told}, 15, at(0), false},
		"told after a pass":           {StopRule{UntilClosed: told}, 20, at(0), true},
		"not told":                    {StopRule{UntilClosed: make(chan struct{})}, 20, at(0), false},
		"time is not up after a pass": {StopRule{Until: start.Add(2 * time.Second)}, 20, at(1), false},
	} {
		if got := c.rule.Enough(c.sent, 10, c.now); got != c.want {
			t.Errorf("%s: enough = %v", name, got)
		}
	}
}
