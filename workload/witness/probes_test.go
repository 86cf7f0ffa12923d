package witness

import (
	"errors"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"

	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

// What the host lacks leaves the probes absent, or fails a run that requires them as a lack;
// what else fails to attach is a failure, required or not.
func TestAttach(t *testing.T) {
	defect := errors.New("the verifier says no")
	for name, tt := range map[string]struct {
		attach   func() (Observer, error)
		required bool
		state    string // of the channel, if the run goes on
		lacks    bool
		warns    bool
	}{
		"switched off":     {attach: nil, state: record.StateAbsent},
		"a lack":           {attach: func() (Observer, error) { return nil, fault.Lacksf("no BTF") }, state: record.StateAbsent, warns: true},
		"a lack, required": {attach: func() (Observer, error) { return nil, fault.Lacksf("no BTF") }, required: true, lacks: true},
		"a defect":         {attach: func() (Observer, error) { return nil, defect }},
		"one, required":    {attach: func() (Observer, error) { return nil, defect }, required: true},
		"attached":         {attach: func() (Observer, error) { return nil, nil }, state: record.StateOK},
	} {
		log, said := test.NewNullLogger()
		w := &Watch{log: log}
		err := w.attach(AttachSoon(tt.attach), tt.required)
		var lacks interface{ HostLacks() bool }
		if got := errors.As(err, &lacks); (err == nil) != (tt.state != "") || got != tt.lacks {
			t.Errorf("%s: %v, a lack: %v", name, err, got)
		}
		if err == nil && w.channels.Probes.State != tt.state || (len(said.Entries) > 0) != tt.warns {
			t.Errorf("%s: state %q, %d warnings", name, w.channels.Probes.State, len(said.Entries))
		}
	}
}
