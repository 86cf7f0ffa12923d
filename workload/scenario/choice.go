package scenario

// Choice is one of the things that a part of a scenario can be.
type Choice struct {
	Name string `json:"name"`
	What string `json:"what"`           // one line
	Like string `json:"like,omitempty"` // the choice that it is a variety of
}

// Chosen is the choice itself, of whatever embeds one.
func (c Choice) Chosen() Choice { return c }

// Find returns the entry of a table that has the name.
func Find[K interface{ Chosen() Choice }](table []K, name string) (entry K, ok bool) {
	for _, k := range table {
		if k.Chosen().Name == name {
			return k, true
		}
	}
	return entry, false
}

// ChoicesOf returns the choices of a table, in its order.
func ChoicesOf[K interface{ Chosen() Choice }](table []K) []Choice {
	var choices []Choice
	for _, k := range table {
		choices = append(choices, k.Chosen())
	}
	return choices
}
