package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"umemstress/workload/evidence"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Candidate is a scenario of which a run may be, and the harm that it is known to do on some kernels.
type Candidate struct {
	Scenario scenario.Scenario
	Harm     string
}

// tried is a candidate that was run, and is passed over.
type tried struct {
	rank   int // from 0
	record *record.Record
	lacks  error  // what the host lacks for it; nil: it came to a verdict
	folder string // of its evidence; empty: there is none
}

// search looks for the worst that this host shows.
type search struct {
	options Options
	run     func(context.Context, Options) (*record.Record, error)
	passed  []tried
}

// worst runs the candidates, worst first, until one does harm. What harms is known of no kernel by its
// version, nor what a host has by its name, so that each is tried; what harms least needs most, and comes
// last. The evidence of the one that is told stays where it was asked for, and that of the others is in
// folders there.
func (s *search) worst(ctx context.Context) (*record.Record, error) {
	for rank, c := range s.options.Candidates {
		r, err := s.run(ctx, s.optionsOf(rank))
		if settles(r, err) {
			return r, err
		}
		t := tried{rank: rank, record: r, lacks: err}
		folder := strings.ReplaceAll(c.Scenario.String(), "/", "-")
		there, failed := evidence.SetAside(s.options.Output, folder)
		if failed != nil {
			return r, errors.Join(err, failed)
		}
		if there {
			t.folder = folder
		}
		s.passed = append(s.passed, t)
		s.options.log().Infof("%s is passed over: %s", c.Scenario, t.why())
	}
	return s.leastHarmless()
}

// settles says whether there is nothing more to look for: harm was done, or something went wrong.
func settles(r *record.Record, err error) bool {
	switch {
	case r != nil && r.CleanupError != "":
		return true
	case err != nil:
		return !hostLacks(err)
	}
	return r.Verdict.ExitCode() >= record.DataLost.ExitCode()
}

// optionsOf are those of a candidate's run.
func (s *search) optionsOf(rank int) Options {
	o, of := s.options, len(s.options.Candidates)
	candidate := o.Candidates[rank]
	o.Scenario, o.Candidates = candidate.Scenario, nil
	o.choice = &record.Choice{
		Why:  fmt.Sprintf("number %d of %d, worst first, of what some kernels do: %s", rank+1, of, candidate.Harm),
		Rank: rank + 1, Of: of, PassedOver: s.passedOver(-1),
	}
	return o
}

// passedOver are all that were passed over but the one of that rank.
func (s *search) passedOver(except int) (list []record.PassedOver) {
	for _, t := range s.passed {
		if t.rank == except {
			continue
		}
		over := record.PassedOver{Scenario: s.options.Candidates[t.rank].Scenario, Reason: t.reason(), Evidence: t.folder}
		if t.lacks == nil {
			over.Verdict = t.record.Verdict
		}
		list = append(list, over)
	}
	return list
}

func (t tried) reason() string {
	if t.lacks != nil {
		return t.lacks.Error()
	}
	return t.record.Reason
}

func (t tried) why() string {
	if t.lacks != nil {
		return t.reason()
	}
	return string(t.record.Verdict) + ": " + t.reason()
}

// leastHarmless is the run with the worst verdict of those that did no harm, or says what the host lacks
// for all of them.
func (s *search) leastHarmless() (*record.Record, error) {
	told := -1
	for i, t := range s.passed {
		if t.lacks == nil && (told < 0 || badness(t) < badness(s.passed[told])) {
			told = i
		}
	}
	if told < 0 {
		return s.passed[0].record, errors.Join(s.lacking(), s.takeBack(s.passed[0]))
	}
	t := s.passed[told]
	t.record.Choice = &record.Choice{
		Why:  fmt.Sprintf("of %d that do harm on some kernels none did any here; this one's verdict is the worst", len(s.passed)),
		Rank: t.rank + 1, Of: len(s.passed), PassedOver: s.passedOver(t.rank),
	}
	if err := s.takeBack(t); err != nil {
		return t.record, err
	}
	return t.record, evidence.SaveJudged(s.options.Output, t.record)
}

// takeBack has the evidence of a run where it was asked for.
func (s *search) takeBack(t tried) error {
	if t.folder == "" {
		return nil
	}
	return evidence.TakeBack(s.options.Output, t.folder)
}

// badness orders verdicts, worst first.
func badness(t tried) int { return slices.Index(record.Verdicts(), t.record.Verdict) }

// lacking says what the host lacks, each thing once.
func (s *search) lacking() error {
	var lacks []string
	for _, t := range s.passed {
		if text := t.lacks.Error(); !slices.Contains(lacks, text) {
			lacks = append(lacks, text)
		}
	}
	return fault.Lacksf("this host can run none of %d scenarios that do harm on some kernels: %s", len(s.passed), strings.Join(lacks, "; "))
}
