package lab

import (
	"fmt"
	"strings"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/soft-roce/lab/internal/proto"
)

// PmemDevice is the guest's device of persistent memory.
const PmemDevice = proto.PmemDevice

// The persistent memory is a part of the guest's own memory that its kernel is told to take for
// such (memmap=SIZE!START, arch/x86/kernel/e820.c). An emulated nvdimm (QEMU's device of that name) would
// not do: without a namespace made for it, its driver has no pages for it, and refuses -o dax on
// 5.10 and 7.2.
const (
	// pmemStart is behind all that the kernel and its image take, and before the initramfs, which QEMU
	// puts at the end of the first 2 GiB.
	pmemStart = 1 << 30
	minPmem   = 16 << 20
	maxPmem   = 768 << 20
)

// checkPmem takes zero for none.
func (c *Config) checkPmem() error {
	if c.Pmem != 0 && (c.Pmem < minPmem || c.Pmem > maxPmem || c.Pmem%(2<<20) != 0) {
		return host.Usagef("%d MiB of persistent memory: choose an even number from %d to %d", c.Pmem>>20, minPmem>>20, maxPmem>>20)
	}
	return nil
}

// kernelArgs are added to the kernel's command line.
func (c *Config) kernelArgs() string {
	if c.Pmem == 0 {
		return c.Append
	}
	// Its pages are of their own from a section of memory on (SECTION_SIZE_BITS, 128 MiB).
	const section = 128 << 20
	start := min(pmemStart, max(c.Memory/2&^(section-1), section))
	return strings.TrimSpace(fmt.Sprintf("memmap=%dM!%dM %s", c.Pmem>>20, start>>20, c.Append))
}
