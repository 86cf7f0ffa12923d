package payload

import (
	"bytes"
	"testing"
)

// A recipe makes the very bytes, and says of one that is none that it is.
func TestRecipe(t *testing.T) {
	p := New(7, 4096, 3*4096)
	want, got := make([]byte, 5*4096), make([]byte, 5*4096)
	p.FillAll(want, 2)
	if err := p.Recipe(2).Fill(got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, or other bytes", err)
	}
	for _, bad := range []Recipe{{}, {PageBytes: 4096}, {PageBytes: -1, PeriodPages: 1}, {PageBytes: 1 << 30, PeriodPages: 1}, {PageBytes: 4095, PeriodPages: 1}} {
		if err := bad.Fill(got); err == nil {
			t.Errorf("%+v fills", bad)
		}
	}
}
