package deferred

import "testing"

// An event is defined as the kernel's documentation (trace/kprobetrace.rst) has it.
func TestDefinition(t *testing.T) {
	for want, p := range map[string]Place{
		"p:g/e siw:siw_umem_get\n":     {Module: "siw", Function: "siw_umem_get"},
		"r1024:g/e siw:siw_umem_get\n": {Module: "siw", Function: "siw_umem_get", Returns: 1024},
	} {
		if got := p.definition("g/e"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The name of an event is one that the kernel takes, and is nobody else's.
func TestEventName(t *testing.T) {
	const long = "a_function_of_a_name_that_is_longer_than_that_of_any_event_may_be"
	for _, c := range []struct {
		function string
		number   int
		want     string
	}{
		{"fuse_release_user_pages.constprop.0", 7, "fuse_release_user_pages_constprop_0_7"},
		{long, 12, long[:60] + "_12"},
	} {
		if got := eventName(c.function, c.number); got != c.want || len(got) > maxName {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Where there is no tracefs, that is what it says.
func TestNoTracefs(t *testing.T) {
	before := tracefs
	defer func() { tracefs = before }()
	tracefs = []string{t.TempDir()}
	if _, err := Put(Place{Module: "m", Function: "f"}, "g", 1); err == nil {
		t.Error("a probe without tracefs")
	}
}
