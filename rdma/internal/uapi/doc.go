// Package uapi declares the kernel's user-space RDMA ABI: the structs and
// constants of the headers under include/uapi/rdma that this module uses, one
// Go file for each header, and nothing else.
//
// Every field carries the C field's name in an abi tag. The package's test
// compiles the real headers and compares sizes, offsets and values with it, so
// that these declarations are checked against their source and not against
// themselves.
package uapi
