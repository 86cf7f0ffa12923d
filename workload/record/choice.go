package record

import "umemstress/workload/scenario"

// Choice says how the run's scenario was found among several candidates, worst first: it is the first
// of them that does harm on the run's kernel, or, where none does, the one with the worst verdict.
type Choice struct {
	Why        string       `json:"why"`
	Rank       int          `json:"rank"` // of the scenario among the candidates, from 1
	Of         int          `json:"of"`
	PassedOver []PassedOver `json:"passed_over,omitempty"`
}

// PassedOver is a candidate that was tried and is not the run's scenario.
type PassedOver struct {
	Scenario scenario.Scenario `json:"scenario"`
	Verdict  Verdict           `json:"verdict,omitempty"` // empty: this host lacks what it takes
	Reason   string            `json:"reason"`
	Evidence string            `json:"evidence,omitempty"` // the folder of it, in that of the run; empty: there is none
}
