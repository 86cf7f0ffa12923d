package vmwritev

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// vectorBytes is the memory that a vector names.
func vectorBytes(v unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }
