package providertest

import (
	"os"
	"regexp"
	"testing"
)

// Both sides have the same knobs.
func TestKnobs(t *testing.T) {
	header, err := os.ReadFile("testdata/knobs.h")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^\t[A-Z_]+,`).FindAll(header, -1)
	if got, want := Knob(len(named)-1), last; got != want { // LAST is none
		t.Errorf("knobs.h has %d knobs, and %d are known here", got, want)
	}
}
