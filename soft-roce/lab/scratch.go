package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/workload/unnamed"
)

// newScratchDisk makes the image of the guest's scratch disk, a sparse file with
// an ext4 file system. The file has no name: it is gone with the last process
// that has it open, however that process ends.
func newScratchDisk(ctx context.Context, dir string, size int64) (*os.File, error) {
	f, err := unnamed.In(dir)
	if err != nil {
		return nil, fmt.Errorf("scratch disk: %w", err)
	}
	if err := makeExt4(ctx, f, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("scratch disk: %w", err)
	}
	return f, nil
}

// makeExt4 names the features instead of taking those of the host's
// mke2fs.conf, since a new mke2fs makes file systems that 5.10 cannot mount.
func makeExt4(ctx context.Context, f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	call := host.Call{Held: f, Env: []string{"MKE2FS_CONFIG=/dev/null"}}
	_, err := host.Mke2fs.RunAs(ctx, call, "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0",
		"-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,"+
			"flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		"/proc/self/fd/3", strconv.FormatInt(size/1024, 10)+"k")
	return err
}
