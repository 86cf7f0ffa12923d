// Package faults answers one question: what becomes of umemstress, and of the machine that
// it runs on, when things go wrong around it?
//
// It has tests alone, of the program itself. In a guest (build tag guest) runs get signals
// at random moments, and space runs out wherever they write. On the host (build tag faults)
// fetches and labs are killed, the cache is damaged, disks are full, and guests die of runs. With no tag, evidence
// is cut at every byte, and command lines are wrong in every way that testdata/commands.txt
// knows. 'make faults' does all of it, 'make test' a part.
package faults
