package filesystem

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
	"umemstress/workload/meminfo"
)

// nrHugepages holds the number of huge pages of the default size.
const nrHugepages = "/proc/sys/vm/nr_hugepages"

// hugepagesUndo is told how many pages to take from the pool $1 and which size to
// leave at least. Others may have changed its size as well, so that is 0 once the
// pages are known to be there.
const hugepagesUndo = `
	[ -z "$told" ] || {
		read -r now <"$1"
		target=$((now - ${told% *}))
		[ $target -ge ${told#* } ] || target=${told#* }
		[ $target -ge $now ] || echo $target >"$1"
	}`

// tellHugepages tells the shell of hugepagesUndo.
func tellHugepages(undo *child.Janitor, pages, least int) error {
	return undo.Tell(fmt.Sprintf("%d %d", pages, least))
}

// reserveHugepages adds n pages of 2 MiB to the pool of huge pages, so that a file of
// hugetlbfs takes none from anybody else. Close takes them out again.
func reserveHugepages(n int) (_ io.Closer, err error) {
	if err := canReserveHugepages(n); err != nil {
		return nil, err
	}
	undo, err := child.StartJanitor(nil, hugepagesUndo, nrHugepages)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Close())
		}
	}()
	before, err := hugepages()
	if err != nil {
		return nil, err
	}
	// The shell hears of the pages before they are there: a kill in between must leave none.
	if err := tellHugepages(undo, n, before); err != nil {
		return nil, err
	}
	got, err := growPool(before, n)
	if err != nil {
		return nil, err
	}
	if got < n {
		return nil, fault.Lacksf("hugetlbfs: the kernel found %d of the %d huge pages that the file takes; free memory, or choose a smaller --file-size", max(got, 0), n)
	}
	return undo, tellHugepages(undo, n, 0)
}

// growPool asks for n pages more than there were, and returns how many there are. The
// kernel breaks off for a signal without an error (alloc_pool_huge_page, mm/hugetlb.c), so
// it is asked again for as long as that brings more.
func growPool(before, n int) (got int, err error) {
	for try, last := 0, 0; got < n && (try < 2 || got > last); try++ {
		if err := os.WriteFile(nrHugepages, []byte(strconv.Itoa(before+n)), 0); err != nil {
			return got, fault.Lacksf("hugetlbfs: %w; it takes root", err)
		}
		after, err := hugepages()
		if err != nil {
			return got, err
		}
		last, got = got, after-before
	}
	return got, nil
}

// canReserveHugepages refuses what cannot be had, before the kernel empties its caches in
// search of it.
func canReserveHugepages(n int) error {
	memory, err := meminfo.Read()
	if err != nil {
		return err
	}
	const pageBytes = 2 << 20
	if memory.Hugepage != pageBytes {
		return fault.Lacksf("hugetlbfs: the default huge page is not one of 2 MiB (Hugepagesize of /proc/meminfo); boot with default_hugepagesz=2M, a kernel with CONFIG_HUGETLBFS")
	}
	if memory.Available/pageBytes < int64(n) {
		return fault.Lacksf("hugetlbfs: the file takes %d MiB of huge pages, and %d MiB of memory are available; free memory, or choose a smaller --file-size", n*pageBytes>>20, memory.Available>>20)
	}
	return nil
}

// hugepages is the size of the pool, in pages.
func hugepages() (int, error) {
	data, err := os.ReadFile(nrHugepages)
	if err != nil {
		return 0, fault.Lacksf("hugetlbfs: %w; it takes a kernel with CONFIG_HUGETLBFS", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
