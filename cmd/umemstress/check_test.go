package main

import (
	"testing"

	"umemstress/cmd/umemstress/internal/check"
	"umemstress/cmd/umemstress/internal/exit"
)

// Only a host on which nothing can be done lacks something.
func TestAbilitiesStatus(t *testing.T) {
	for can, want := range map[check.Abilities]int{
		{}:                                    exit.HostLacks,
		{Run: true}:                           exit.Clean,
		{RunDIO: true}:                        exit.Clean,
		{RunVMWritev: true}:                   exit.Clean,
		{RunVMCI: true}:                       exit.Clean,
		{RunNFS: true}:                        exit.Clean,
		{RunAIO: true}:                        exit.Clean,
		{RunURing: true}:                      exit.Clean,
		{RunFUSE: true}:                       exit.Clean,
		{RunV4L2: true}:                       exit.Clean,
		{RunXDP: true}:                        exit.Clean,
		{Observe: true}:                       exit.HostLacks,
		{Lab: true}:                           exit.Clean,
		{Run: true, Observe: true, Lab: true}: exit.Clean,
	} {
		if code := exit.Code(abilitiesStatus(can)); code != want {
			t.Errorf("%+v: exit code %d, want %d", can, code, want)
		}
	}
}
