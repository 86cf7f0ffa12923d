package danger

import (
	"bufio"
	"os"
	"strings"
)

// BtrfsFixup is the name of the danger that btrfs dereferences what a split has freed.
const BtrfsFixup = "btrfs-fixup"

// fixupFunction takes a lock in the private state of a folio that is dirtied unannounced,
// which a split of the folio that failed for its pin has freed (fs/btrfs/subpage.c; seen
// to oops on 7.2.13 and 7.3.4). Kernels before it have no lock to take there.
const fixupFunction = "btrfs_folio_set_fixup_dirty"

// btrfsFixup looks for the function among the running kernel's, btrfs's module included,
// which is loaded while a file of it is pinned.
func btrfsFixup() (bool, error) {
	symbols, err := os.Open("/proc/kallsyms")
	if err != nil {
		return false, err
	}
	defer symbols.Close()
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 2 && fields[2] == fixupFunction {
			return true, nil
		}
	}
	return false, lines.Err()
}
