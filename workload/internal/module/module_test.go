package module

import (
	"errors"
	"strings"
	"testing"
)

// What a kernel has not is told in one sentence, with the options that it is built with.
func TestLoadOfNone(t *testing.T) {
	s := Set{Top: "umemstress-none", Unload: []string{"umemstress-none"}, Busy: "umemstress-none", Options: "CONFIG_UMEMSTRESS_NONE"}
	l, err := Load(t.Context(), s)
	var lacks interface{ HostLacks() bool }
	if l != nil || !errors.As(err, &lacks) || !lacks.HostLacks() {
		t.Fatalf("%+v, %v: want what the host lacks", l, err)
	}
	for _, want := range []string{"umemstress-none", "CONFIG_UMEMSTRESS_NONE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a sentence: %q", err)
	}
}

// What is there already is no business of a run.
func TestLoadNothing(t *testing.T) {
	l, err := Load(t.Context(), Set{Top: "umemstress-none"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}
