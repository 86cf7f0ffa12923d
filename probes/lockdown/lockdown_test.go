package lockdown

import (
	"testing"
	"testing/fstest"
)

// Lockdown for integrity keeps nobody from reading, and where nothing tells of any there is none.
func TestConfidential(t *testing.T) {
	for level, want := range map[string]bool{"none integrity [confidentiality]": true, "none [integrity] confidentiality": false, "[none] integrity confidentiality": false} {
		if got := Confidential(fstest.MapFS{"kernel/security/lockdown": {Data: []byte(level + "\n")}}); got != want {
			t.Errorf("%s: %v", level, got)
		}
	}
	if Confidential(fstest.MapFS{}) {
		t.Error("locked down, though nothing says so")
	}
}
