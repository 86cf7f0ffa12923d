package workload

import (
	"fmt"

	"github.com/sirupsen/logrus"
)

// Reexamine judges the evidence in dir again. The record's verdict is the one
// that follows from its channels; it is an error if the record says another.
// What streamed files miss, because the machine died while writing them, is
// logged and changes nothing: the counts in the record are whole.
func Reexamine(dir string) (*Record, error) {
	r, err := Load(dir)
	if err != nil {
		return nil, err
	}
	recorded := r.Verdict
	r.conclude()
	if recorded != "" && recorded != r.Verdict {
		return nil, fmt.Errorf("%s: the record says %s, but its channels amount to %s; the evidence was changed, or written by another version", dir, recorded, r.Verdict)
	}
	events, whole, err := LoadEvents(dir)
	if err != nil {
		return nil, err
	}
	if !whole {
		logrus.Warnf("%s: the last event was cut off", dir)
	}
	if n := uint64(len(events)); n < r.Channels.Probes.Events {
		return nil, fmt.Errorf("%s: %s holds %d events and the record tells of %d; copy the evidence again", dir, eventsFile, n, r.Channels.Probes.Events)
	}
	return r, nil
}
