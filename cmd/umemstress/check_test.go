package main

import (
	"testing"

	"umemstress/cmd/umemstress/internal/check"
)

// Only a host on which nothing can be done lacks something.
func TestAbilitiesStatus(t *testing.T) {
	for can, want := range map[check.Abilities]int{
		{}:                                    exitHostLacks,
		{Run: true}:                           exitClean,
		{RunDIO: true}:                        exitClean,
		{RunVMWritev: true}:                   exitClean,
		{Observe: true}:                       exitHostLacks,
		{Lab: true}:                           exitClean,
		{Run: true, Observe: true, Lab: true}: exitClean,
	} {
		if code := exitCode(abilitiesStatus(can)); code != want {
			t.Errorf("%+v: exit code %d, want %d", can, code, want)
		}
	}
}
