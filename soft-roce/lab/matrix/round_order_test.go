package matrix

import (
	"strings"
	"testing"
)

// Long columns come first, and so do those whose guests die.
func TestLongestFirst(t *testing.T) {
	column := func(name string, cells, crashed int) *round {
		k := &Column{Name: name, Cells: make([]Expectation, cells)}
		for i := range crashed {
			k.Cells[i].Verdict = "crashed"
		}
		return newRound(&Matrix{}, k, 1)
	}
	var order []string
	for _, r := range longestFirst([]*round{column("short", 4, 0), column("dies", 5, 4), column("long", 12, 0), column("same", 12, 0)}) {
		order = append(order, r.kernel.Name)
	}
	if got := strings.Join(order, " "); got != "dies long same short" {
		t.Error(got)
	}
}
