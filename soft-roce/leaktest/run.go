//go:build !guest

package leaktest

// Run runs the tests and returns their exit code.
func Run(m M) int { return m.Run() }
