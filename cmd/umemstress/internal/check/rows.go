package check

import (
	"slices"
	"strings"
)

// row is what the screen shows of one item, or of several in a row that differ
// in their names only.
type row struct {
	group  string // such as lab
	state  State
	detail string
	names  []string // in the group
	costs  []string
	remedy string
}

// rows joins neighbours. An item's name may be GROUP: NAME.
func rows(items []Item) []row {
	var list []row
	for _, i := range items {
		group, name, grouped := strings.Cut(i.Name, ": ")
		if n := len(list) - 1; grouped && n >= 0 {
			r := &list[n]
			if r.group == group && r.state == i.State && r.detail == i.Detail && r.remedy == i.Remedy {
				r.names = append(r.names, name)
				if i.Costs != "" && !slices.Contains(r.costs, i.Costs) {
					r.costs = append(r.costs, i.Costs)
				}
				continue
			}
		}
		r := row{group: group, state: i.State, detail: i.Detail, remedy: i.Remedy}
		if grouped {
			r.names = []string{name}
		}
		if i.Costs != "" {
			r.costs = []string{i.Costs}
		}
		list = append(list, r)
	}
	return list
}
