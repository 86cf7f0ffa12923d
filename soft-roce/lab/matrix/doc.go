// Package matrix tells whether kernels do to scenarios what they are known to do.
//
// A [Matrix] boots a guest for each kernel and runs the scenarios in it, reads the
// run.json that each leaves, and compares the verdicts with [Expectation]s. The
// [Result] is matrix.json, and one page of HTML.
//
// What it knows of run.json, the words of verdicts and the exit codes that go with
// them, stands in words.go.
package matrix
