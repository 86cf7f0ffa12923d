//go:build guest

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"umemstress/workload/record"
)

// The disk channel says how it knows that it read the disk, on file systems that read past the
// page cache and on such that take O_DIRECT and read through it. What the kernel is then seen
// to have dropped is found to be lost on all of them.
func TestDiskProven(t *testing.T) {
	for name, c := range map[string]struct {
		fs, make string // mounts a file system of the user's on $1, in which the directory d is taken; "": a scratch
		proof    string
	}{
		"scratch ext4":           {"ext4", "", record.ProofDirect},
		"scratch ext4-1k":        {"ext4-1k", "", record.ProofDirect},
		"scratch ext4-journal":   {"ext4-journal", "", record.ProofEvicted},
		"scratch ext4-bigalloc":  {"ext4-bigalloc", "", record.ProofDirect},
		"scratch ext4-dm-crypt":  {"ext4-dm-crypt", "", record.ProofDirect},
		"scratch ext4-encrypted": {"ext4-encrypted", "", record.ProofEvicted},
		"scratch xfs":            {"xfs", "", record.ProofDirect},
		"scratch btrfs":          {"btrfs", "", record.ProofDirect},
		"scratch f2fs":           {"f2fs", "", record.ProofDirect},
		"scratch ocfs2":          {"ocfs2", "", record.ProofDirect},
		"encrypted ext4": {"ext4", `mke2fs -q -t ext4 -b 4096 -O encrypt "$1.img" 64M; mount -o loop "$1.img" "$1"; mkdir "$1/d"
			echo secret | e4crypt add_key -k @u -S s:umemstress "$1/d" >/dev/null; lsattr -d "$1/d" | grep -q ^[^/]*E`, record.ProofEvicted},
		// A file that is to be mapped has blocks: what the inode held is moved there.
		"ext4 with inline data": {"ext4", `mke2fs -q -t ext4 -b 4096 -I 1024 -O inline_data "$1.img" 64M; mount -o loop "$1.img" "$1"`, record.ProofDirect},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"run", "--format", "json", "--preset", "kara", "--fs", c.fs, "--file-size", "1M", "-o", filepath.Join(t.TempDir(), "evidence")}
			if c.fs == "btrfs" { // of which the newest oops when they are stripped
				args = append(args, "--strip", "none")
			}
			if c.make != "" {
				dir := filepath.Join(t.TempDir(), "place")
				shell(t, `mkdir "$1"; `+c.make+`; mkdir -p "$1/d"`, dir)
				t.Cleanup(func() { shell(t, `umount "$1"`, dir) })
				args = append(args, "--file", filepath.Join(dir, "d/file"))
			}
			stdout, stderr, _ := here(t, args...)
			var r record.Record
			if err := json.Unmarshal([]byte(stdout), &r); err != nil {
				t.Fatalf("%v in %q; %s", err, stdout, stderr)
			}
			pages, disk := uint64(r.Regions[0].Pages), r.Channels.Disk
			if disk.State != record.StateOK || disk.Proof != c.proof || disk.CheckedPages != pages || (disk.DirectPages == pages) != (c.proof == record.ProofDirect) {
				t.Errorf("%+v, want all pages by %q", disk, c.proof)
			}
			dropped := r.Channels.Probes.BufferlessPages
			if disk.StalePages != dropped && r.Scenario.Filesystem != "btrfs" || (dropped > 0) != (r.Verdict == record.DataLost) {
				t.Errorf("%s (%s): %d pages of %d are stale, and %d were dropped", r.Verdict, r.Reason, disk.StalePages, pages, dropped)
			}
		})
	}
}
