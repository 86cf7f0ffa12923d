// Package matrix tells whether kernels do to scenarios what they are known to do.
//
// A [Matrix] boots a guest for each kernel and runs the scenarios in it, reads the
// run.json that each leaves, and compares the verdicts with [Expectation]s. The
// [Result] is matrix.json, and one page of HTML.
package matrix
