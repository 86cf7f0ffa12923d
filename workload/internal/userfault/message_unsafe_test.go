package userfault

import (
	"os"
	"unsafe"
)

// writeMsg writes one event as the kernel does.
func writeMsg(f *os.File, m uffdMsg) error {
	_, err := f.Write(unsafe.Slice((*byte)(unsafe.Pointer(&m)), unsafe.Sizeof(m)))
	return err
}
