// Package host is what the lab asks of the machine that it runs on: programs, files
// that are gone with whoever has them open, and errors that say whether the caller or
// the machine is at fault.
package host
