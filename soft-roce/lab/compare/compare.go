package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/record"
)

// Schema names the format of compare.json.
const Schema = "umemstress.compare/v1"

// State is how the two cells of a scenario stand to each other.
type State string

// The states. Only [Differs] is a difference of the kernels: the others prove none.
const (
	Differs      State = "differs"
	Inconclusive State = "inconclusive" // on one side alone
	Unsteady     State = "unsteady"     // a cell is not equal to itself between repetitions
	NotCompared  State = "not-compared" // on a side it did not run to a verdict
	Equal        State = "equal"
)

// states are all of them, in the order in which they are shown.
func states() []State { return []State{Differs, Inconclusive, Unsteady, NotCompared, Equal} }

// Comparison is what two kernels did: the content of compare.json.
type Comparison struct {
	Schema      string               `json:"schema"`
	Started     time.Time            `json:"started"`
	Seconds     float64              `json:"seconds"`
	Interrupted bool                 `json:"interrupted"`
	Host        matrix.Host          `json:"host"`
	Jobs        int                  `json:"jobs"`   // guests at a time
	Repeat      int                  `json:"repeat"` // runs of each cell
	A           Kernel               `json:"a"`
	B           Kernel               `json:"b"`
	Counts      map[State]int        `json:"counts"` // of scenarios
	Guests      []matrix.GuestRecord `json:"guests"`
	Cells       []Cell               `json:"cells"` // scenario by scenario, in the order in which they were run

	effort string
	both   int // scenarios that are inconclusive on both sides
}

// Kernel is one of the two.
type Kernel struct {
	Name    string `json:"name"`    // of its column, and of its directory beside compare.json
	Given   string `json:"given"`   // on the command line
	Release string `json:"release"` // uname -r
}

// Cell is a scenario on both kernels.
type Cell struct {
	Scenario string       `json:"scenario"`
	State    State        `json:"state"`
	Why      string       `json:"why,omitempty"` // of a scenario that is unsteady or was not compared
	A        Side         `json:"a"`
	B        Side         `json:"b"`
	Saw      []Difference `json:"saw,omitempty"` // what the channels and the phases tell differently
}

// Side is what the scenario did on one of the kernels. It shows the first repetition that ran.
type Side struct {
	matrix.Repetition
	Repetitions []matrix.Repetition `json:"repetitions,omitempty"` // if there are several
}

// New compares the two columns of a result, of which the first is a's and the second b's.
func New(result *matrix.Result, a, b Kernel) *Comparison {
	c := &Comparison{
		Schema: Schema, Started: result.Started, Seconds: result.Seconds, Interrupted: result.Interrupted,
		Host: result.Host, Jobs: result.Jobs, Repeat: result.Repeat,
		A: a, B: b, Counts: map[State]int{}, Guests: result.Guests, effort: result.Effort(),
	}
	for _, state := range states() {
		c.Counts[state] = 0
	}
	sides := map[[2]string]Side{} // by kernel and scenario
	var scenarios []string
	for i := range result.Cells {
		cell := &result.Cells[i]
		sides[[2]string{cell.Kernel, cell.Scenario}] = newSide(cell)
		if !slices.Contains(scenarios, cell.Scenario) {
			scenarios = append(scenarios, cell.Scenario)
		}
	}
	for _, scenario := range scenarios {
		cell := newCell(scenario, sides[[2]string{a.Name, scenario}], sides[[2]string{b.Name, scenario}])
		c.Counts[cell.State]++
		if cell.State == Equal && cell.A.Got == string(record.Inconclusive) {
			c.both++
		}
		c.Cells = append(c.Cells, cell)
	}
	return c
}

func newSide(cell *matrix.Cell) Side {
	side := Side{Repetition: cell.Repetition, Repetitions: cell.Repetitions}
	if ran := side.ran(); len(ran) > 0 {
		side.Repetition = ran[0]
	}
	return side
}

func newCell(scenario string, a, b Side) Cell {
	cell := Cell{Scenario: scenario, A: a, B: b}
	ranA, ranB := a.ran(), b.ran()
	gotA, gotB := words(ranA), words(ranB)
	switch {
	case len(gotA) == 0 || len(gotB) == 0:
		cell.State = NotCompared
	case len(gotA) > 1 || len(gotB) > 1:
		cell.State = Unsteady
	case gotA[0] == matrix.OutcomeFailed || gotB[0] == matrix.OutcomeFailed:
		cell.State = NotCompared
	case gotA[0] == gotB[0]:
		cell.State = Equal
	case gotA[0] == string(record.Inconclusive) || gotB[0] == string(record.Inconclusive):
		cell.State = Inconclusive
	default:
		cell.State = Differs
	}
	switch cell.State {
	case NotCompared:
		cell.Why = notRun(a, b)
	case Unsteady:
		cell.Why = tally(a.all()) + " against " + tally(b.all())
	default:
		cell.Saw = differences(ranA, ranB)
	}
	return cell
}

// all are the runs of the cell, of which there is one at least.
func (s Side) all() []matrix.Repetition {
	if len(s.Repetitions) > 0 {
		return s.Repetitions
	}
	return []matrix.Repetition{s.Repetition}
}

// ran are the repetitions that tell of the kernel: the lab's failures do not.
func (s Side) ran() []matrix.Repetition {
	return slices.DeleteFunc(slices.Clone(s.all()), func(r matrix.Repetition) bool {
		return r.Got == "" || r.Got == matrix.OutcomeNotRun || r.Got == matrix.OutcomeLabFailed
	})
}

// words are the different verdicts and outcomes of the repetitions, in their order.
func words(repetitions []matrix.Repetition) []string {
	var got []string
	for _, r := range repetitions {
		if !slices.Contains(got, r.Got) {
			got = append(got, r.Got)
		}
	}
	return got
}

// tally is how often repetitions ended in what, such as "2 clean, 1 data-lost".
func tally(repetitions []matrix.Repetition) string {
	var counts []string
	for _, word := range words(repetitions) {
		n := 0
		for _, r := range repetitions {
			if r.Got == word {
				n++
			}
		}
		counts = append(counts, fmt.Sprintf("%d %s", n, word))
	}
	return strings.Join(counts, ", ")
}

// notRun is why a scenario was not compared: of the side that has no verdict, or of the first.
func notRun(a, b Side) string {
	for _, side := range []Side{a, b} {
		switch side.Got {
		case matrix.OutcomeFailed, matrix.OutcomeLabFailed:
			return side.Reason
		}
	}
	return beforeIt
}

const beforeIt = "interrupted before it"

// Summary is the comparison in a sentence.
func (c *Comparison) Summary() string {
	s := fmt.Sprintf("%s, %d %s", plural(c.scenarios(), "scenario"), c.Counts[Differs], verb(c.Counts[Differs], "differs", "differ"))
	for _, more := range []struct {
		n    int
		text string
	}{
		{c.Counts[Inconclusive], "inconclusive on one side"},
		{c.both, "inconclusive on both"},
		{c.Counts[Unsteady], "not equal to " + verb(c.Counts[Unsteady], "itself", "themselves") + " between repetitions"},
		{c.Counts[NotCompared], "not compared"},
	} {
		if more.n > 0 {
			s += fmt.Sprintf(", %d %s", more.n, more.text)
		}
	}
	if c.Repeat > 1 {
		s += fmt.Sprintf(", each run %d times", c.Repeat)
	}
	if c.Interrupted {
		s += " (interrupted)"
	}
	return s + "; " + c.effort
}

// scenarios is how many were to be compared.
func (c *Comparison) scenarios() (n int) {
	for _, count := range c.Counts {
		n += count
	}
	return n
}

// Only is the comparison with the cells that are not equal.
func (c *Comparison) Only() *Comparison {
	only := *c
	only.Cells = slices.DeleteFunc(slices.Clone(c.Cells), func(cell Cell) bool { return cell.State == Equal })
	return &only
}

// Missing says which scenario did not run to a verdict on a side, and why, if there are such.
// lab: it was the lab that could not run it.
func (c *Comparison) Missing() (why string, lab bool) {
	for _, cell := range c.Cells {
		if cell.State != NotCompared {
			continue
		}
		if why == "" {
			why = fmt.Sprintf("%d of %s were not compared, such as %s: %s", c.Counts[NotCompared], plural(c.scenarios(), "scenario"), cell.Scenario, cell.Why)
		}
		lab = lab || cell.A.Got == matrix.OutcomeLabFailed || cell.B.Got == matrix.OutcomeLabFailed
	}
	return why, lab
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
