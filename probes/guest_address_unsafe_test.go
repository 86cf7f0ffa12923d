//go:build guest

package probes

import "unsafe"

// address is where mapped memory begins.
func address(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }
