// Package image reads the file of a kernel's image for amd64: how QEMU boots it, of which
// release it is, what it was configured with, and the kernel in it unpacked.
package image
