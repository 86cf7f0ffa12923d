// Package machine is the guest as QEMU sees it: its command line and devices, what
// runs its code, what comes out of its ports and its console, and what that says of
// its death.
package machine
