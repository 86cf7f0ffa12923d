// Package compare tells what two kernels do differently.
//
// Both run the same scenarios as columns of a [matrix.Matrix] that expects nothing, and [New]
// sets each scenario's two cells against each other: their verdicts, and, where those differ,
// what the channels saw. A [Comparison] is compare.json, a table, and a page of HTML.
package compare
