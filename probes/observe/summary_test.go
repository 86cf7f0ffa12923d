package observe

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// With a filter the worst is that of what is asked for; without one, and where events of it may be
// missing, that of all.
func TestHitOfWanted(t *testing.T) {
	for name, c := range map[string]struct {
		filter Filter
		lost   event.Lost
		want   Hit
	}{
		"all":                     {Filter{}, event.Lost{}, HitDropped},
		"the program":             {Filter{Comm: "pinner"}, event.Lost{}, HitDropped},
		"its path":                {Filter{Path: "/mnt/deep"}, event.Lost{}, HitDropped},
		"another":                 {Filter{Comm: "other"}, event.Lost{}, NoHit},
		"another, events lost":    {Filter{Comm: "other"}, event.Lost{Events: 1}, HitDropped},
		"another, stacks lost":    {Filter{Comm: "other"}, event.Lost{Stacks: 1}, NoHit},
		"another file system":     {Filter{Filesystem: "xfs"}, event.Lost{}, NoHit},
		"another RDMA device":     {Filter{RDMADevice: "mlx5_0"}, event.Lost{}, HitDropped}, // which nobody knows of what was dropped
		"another path, all known": {Filter{Path: "/elsewhere"}, event.Lost{}, NoHit},
	} {
		source := chain()
		source.lost = c.lost
		_, summary, err := observed(t, Config{Source: source, Filter: c.filter})
		if err != nil || summary.Hit() != c.want {
			t.Errorf("%s: hit %d, want %d; %v", name, summary.Hit(), c.want, err)
		}
	}
}

// Regions that are too many to be remembered are told as lost.
func TestTooManyRegions(t *testing.T) {
	source := &recording{}
	for i := range maxRegions + 100 {
		source.events = append(source.events, pinned(uint32(i+1), 0x1000, 12))
	}
	_, summary, err := observed(t, Config{Source: source})
	if err != nil || summary.Lost.Pins != 100 {
		t.Errorf("lost %+v, %v", summary.Lost, err)
	}
}

func TestTimeOfDay(t *testing.T) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	ago := time.Since(timeOfDay(uint64(now.Nano() - int64(time.Hour))))
	if ago < time.Hour || ago > time.Hour+time.Minute {
		t.Errorf("an hour ago is %v ago", ago)
	}
}
