package check

import "testing"

// TestHere looks at whatever this host is.
func TestHere(t *testing.T) {
	document, err := Here()
	if err != nil {
		t.Fatal(err)
	}
	if document.Schema != Schema || document.Kernel.Release == "" {
		t.Errorf("schema %q, kernel %q", document.Schema, document.Kernel.Release)
	}
	checkItems(t, document.Items, nil)
}
