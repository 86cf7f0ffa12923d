package evidence

import (
	"fmt"

	"github.com/sirupsen/logrus"

	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Reexamine judges the evidence in dir again. The record's verdict is the one
// that follows from its channels; it is an error if the record says another.
// What streamed files miss, because the machine died while writing them, is
// logged and changes nothing: the counts in the record are whole. Evidence from before
// facts were recorded is judged by those that the caller knows, which is logged as well.
func Reexamine(dir string, known func(scenario.Scenario) (scenario.Facts, bool), log logrus.FieldLogger) (*record.Record, error) {
	r, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if r.Facts == nil {
		facts, all := known(r.Scenario)
		if !all {
			return nil, fault.Usagef("%s: this version does not know the scenario %s, and the record has no facts of it; judge it with the version that wrote it", dir, r.Scenario)
		}
		log.Infof("%s: the record has no facts of its scenario: it is judged by what this version knows", dir)
		r.Facts = &facts
	}
	recorded := r.Verdict
	r.Conclude()
	if recorded != "" && recorded != r.Verdict {
		return nil, fmt.Errorf("%s: the record says %s, but its channels amount to %s; the evidence was changed, or written by another version", dir, recorded, r.Verdict)
	}
	events, whole, err := LoadEvents(dir)
	if err != nil {
		return nil, err
	}
	if !whole {
		log.Warnf("%s: the last event was cut off", dir)
	}
	if n := uint64(len(events)); n < r.Channels.Probes.Events {
		return nil, fmt.Errorf("%s: %s holds %d events and the record tells of %d; copy the evidence again", dir, eventsFile, n, r.Channels.Probes.Events)
	}
	return r, nil
}
