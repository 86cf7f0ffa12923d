package workload

import (
	"testing"
	"time"
)

// Every byte of the target is written exactly once in a pass, from the byte of
// the source that the disk check expects.
func TestPassCoversTarget(t *testing.T) {
	for _, p := range []pass{
		{size: 65536, target: 1 << 20, source: 1 << 20},
		{size: 4096, target: 10 * 4096, source: 3 * 4096},
		{size: 5000, target: 8 * 4096, source: 3 * 4096},
		{size: 1 << 20, target: 4096, source: 64 * 4096},
		{size: 1, target: 4096, source: 4096},
	} {
		var next int64
		for m := range p.messages() {
			if m.to != next {
				t.Fatalf("%+v: message at %d, want %d", p, m.to, next)
			}
			if m.length < 1 || m.length > p.size {
				t.Fatalf("%+v: message of %d bytes", p, m.length)
			}
			if m.from != m.to%p.source || m.from+int64(m.length) > p.source {
				t.Fatalf("%+v: message %+v does not come from one run of the source", p, m)
			}
			next += int64(m.length)
		}
		if next != p.target {
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
		rule stopRule
		sent int
		now  func() time.Time
		want bool
	}{
		"one pass, half way":          {stopRule{}, 5, at(0), false},
		"one pass, done":              {stopRule{}, 10, at(0), true},
		"messages, pass done":         {stopRule{messages: 15}, 10, at(0), false},
		"messages, done":              {stopRule{messages: 15}, 15, at(0), true},
		"time is up inside a pass":    {stopRule{until: start}, 15, at(1), false},
		"time is up after a pass":     {stopRule{until: start}, 20, at(1), true},
		"told inside a pass":          {stopRule{told: told}, 15, at(0), false},
		"told after a pass":           {stopRule{told: told}, 20, at(0), true},
		"not told":                    {stopRule{told: make(chan struct{})}, 20, at(0), false},
		"time is not up after a pass": {stopRule{until: start.Add(2 * time.Second)}, 20, at(1), false},
	} {
		if got := c.rule.enough(c.sent, 10, c.now); got != c.want {
			t.Errorf("%s: enough = %v", name, got)
		}
	}
}
