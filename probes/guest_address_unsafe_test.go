//go:build guest

package probes

import "unsafe"

// addressOf returns where mapped memory begins, which stays true for as long as the
// mapping.
func addressOf(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }
