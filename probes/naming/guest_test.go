//go:build guest

package naming

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
)

// Functions of the kernel and of its modules have the names that its table of symbols has for them.
func TestNames(t *testing.T) {
	types := btf.NewCache()
	if _, err := types.Kernel(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // once the library knows the kernel it takes less
		begun := time.Now()
		n, err := Open(types, 32)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("opened in %v", time.Since(begun))
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
	}
	n, err := Open(types, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	table, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var addresses []uint64
	var want []string
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch fields[2] {
		case "vfs_fsync_range", "vfs_read", "ib_umem_release", "__ext4_warning_inode", "rxe_mr_cleanup":
			start, err := strconv.ParseUint(fields[0], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			addresses, want = append(addresses, start, start+5), append(want, fields[2]+"+0x0", fields[2]+"+0x5")
		}
	}
	if len(want) < 8 {
		t.Fatalf("the kernel has %q alone", want)
	}
	addresses, want = append(addresses, 0x1000), append(want, "0x1000")
	for range 3 {
		begun := time.Now()
		got, err := n.Names(addresses)
		t.Logf("%q, %v in %v", got, err, time.Since(begun))
		if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
