package report

import (
	"cmp"

	"umemstress/workload/record"
)

// choice tells how the scenario was found among candidates, and why each of those before it is not it.
func (t table) choice(c *record.Choice) {
	if c == nil {
		return
	}
	t.row("chosen", "%s", c.Why)
	for _, p := range c.PassedOver {
		t.row("passed over", "%s: %s: %s", p.Scenario, cmp.Or(string(p.Verdict), "not possible here"), p.Reason)
	}
}
