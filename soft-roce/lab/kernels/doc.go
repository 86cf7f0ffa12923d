// Package kernels finds a kernel to boot by its name: a series such as 5.10, a
// version, a package file, a directory in which one was built or installed, or an image
// of one's own.
//
// Stock kernels come from package files or from the mirror that this machine's apt
// is configured for, verified by apt. A [Store] keeps them unpacked, by version, with
// what the guest boots from beside them: an image that need not unpack itself, and
// one archive of the modules. A kernel in a directory stays there.
package kernels
