//go:build guest

package rdma

import (
	"sync/atomic"
	"unsafe"
)

// lastWord is that of a message of whole words, which a device writes to.
func lastWord(message []byte) *uint32 {
	return (*uint32)(unsafe.Pointer(&message[len(message)-4]))
}

func setWord(message []byte, n uint32) { atomic.StoreUint32(lastWord(message), n) }

// awaitWord spins until it is so.
func awaitWord(message []byte, n uint32) {
	for word := lastWord(message); atomic.LoadUint32(word) != n; {
	}
}
