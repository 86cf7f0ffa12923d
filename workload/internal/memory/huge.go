package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// Sizes of huge pages, in bytes, of amd64.
const (
	Huge2M = 2 << 20
	Huge1G = 1 << 30
)

// MapHuge maps bytes of memory of no file, in huge pages of that size which the machine's pool has. The bytes are a multiple of it.
func MapHuge(bytes int, page int64) (*Region, error) {
	size := bits.TrailingZeros64(uint64(page)) << unix.MAP_HUGE_SHIFT // as of MAP_HUGE_2MB, uapi/asm-generic/hugetlb_encode.h
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|size)
	if err == nil {
		return &Region{Bytes: mem, Length: int64(bytes)}, nil
	}
	pool := fmt.Sprintf("/sys/kernel/mm/hugepages/hugepages-%dkB", page>>10)
	if _, missing := os.Stat(pool); errors.Is(missing, fs.ErrNotExist) {
		return nil, fault.Lacksf("mmap %d anonymous bytes in huge pages of %d: %w; the kernel has none of this size (no %s), as its processor may have none (pdpe1gb of /proc/cpuinfo is for 1 GiB): choose --use_hugepages=2M, or leave it out", bytes, page, err, pool)
	}
	boot := ""
	if page == Huge1G {
		boot = fmt.Sprintf(" (or, where the kernel finds no whole GiB any more, boot with hugepagesz=1G hugepages=%d)", int64(bytes)/page)
	}
	return nil, fault.Lacksf("mmap %d anonymous bytes in huge pages: %w; have %d of them free in the pool (%s/free_hugepages): raise %s/nr_hugepages%s, or choose a smaller --anon-size", bytes, err, int64(bytes)/page, pool, pool, boot)
}
