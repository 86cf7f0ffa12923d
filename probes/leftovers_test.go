package probes

import (
	"fmt"
	"testing"
)

func TestLeftovers(t *testing.T) {
	const events = `r1024:umemstress_7_3284501853766413/ib_umem_release ib_umem_release
r1024:umemstress_8_35fd99abd2c1dbbe/ib_umem_release ib_umem_release
p:umemstress_9_35fd99abd2c1dbbe/vfs_read vfs_read
p:kprobes/umemstress_7_x vfs_read
r:ebpf_35fd99abd2c1dbbe/p_vfs_read_0x0_35f vfs_read
r1024:umemstress_10_2_35fd99abd2c1dbbe/vfs_read vfs_read
p:umemstress_x_35fd99abd2c1dbbe/vfs_read vfs_read
`
	got := leftovers(events, func(pid string) bool { return pid == "8" })
	if want := "[umemstress_7_3284501853766413/ib_umem_release umemstress_9_35fd99abd2c1dbbe/vfs_read umemstress_10_2_35fd99abd2c1dbbe/vfs_read]"; fmt.Sprint(got) != want {
		t.Errorf("%q, want %s", got, want)
	}
}
