package workload

// RunChild has to be the first thing in the main function of every program that calls
// Run: a run starts copies of its own program, a memory hog for one, and in such a copy
// RunChild does not return.
func RunChild() {
	RunIfChild(map[string]ChildMain{hogChild: hogMain, removeMappedChild: removeMappedMain})
}
