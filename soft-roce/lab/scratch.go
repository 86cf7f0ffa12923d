package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"umemstress/soft-roce/lab/internal/host"
)

// newScratchDisk makes the image of the guest's scratch disk, a sparse file with
// an ext4 file system. The file has no name: it is gone with the last process
// that has it open, however that process ends.
func newScratchDisk(dir string, size int64) (*os.File, error) {
	mke2fs, err := host.Mke2fs.Find()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := host.UnnamedFile(dir)
	if err != nil {
		return nil, fmt.Errorf("scratch disk: %w", err)
	}
	if err := makeExt4(mke2fs, f, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("scratch disk: %w", err)
	}
	return f, nil
}

// makeExt4 names the features instead of taking those of the host's
// mke2fs.conf, since a new mke2fs makes file systems that 5.10 cannot mount.
func makeExt4(mke2fs string, f *os.File, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	cmd := exec.Command(mke2fs, "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0",
		"-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,"+
			"flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		"/proc/self/fd/3", strconv.FormatInt(size/1024, 10)+"k")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = []string{"MKE2FS_CONFIG=/dev/null"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return host.Mke2fs.Failed(err, out)
	}
	return nil
}
