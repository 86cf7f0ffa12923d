package uapi

import "unsafe"

// Pointer is a user-space pointer inside a request, a __aligned_u64 in C. It
// stays a pointer for the garbage collector, so that what it points to lives
// and keeps its address as long as the request does.
type Pointer struct {
	ptr unsafe.Pointer
}

// PointerTo makes the field that lets the kernel write v.
func PointerTo[T any](v *T) Pointer { return Pointer{unsafe.Pointer(v)} }
