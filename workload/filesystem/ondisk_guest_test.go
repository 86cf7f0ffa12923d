//go:build guest

package filesystem

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

const onDiskBytes = 1 << 20

// places are directories on file systems that read past the page cache, and on such that take
// O_DIRECT and read through it.
var places = []struct {
	name  string
	make  string // mounts on $1 an image beside it, in which the directory d is taken
	proof string
}{
	{"ext4", `mke2fs -q -t ext4 "$1.img" 64M; mount -o loop "$1.img" "$1"`, record.ProofDirect},
	{"xfs", `truncate -s 320M "$1.img"; mkfs.xfs -q "$1.img"; mount -o loop "$1.img" "$1"`, record.ProofDirect},
	{"btrfs", `truncate -s 128M "$1.img"; mkfs.btrfs -q "$1.img"; mount -o loop "$1.img" "$1"`, record.ProofDirect},
	{"vfat", `truncate -s 64M "$1.img"; mkfs.vfat "$1.img" >/dev/null; mount -o loop "$1.img" "$1"`, record.ProofDirect},
	{"ext4 data=journal", `mke2fs -q -t ext4 "$1.img" 64M; mount -o loop,data=journal "$1.img" "$1"`, record.ProofEvicted},
	{"ext4 encrypted", `mke2fs -q -t ext4 -b 4096 -O encrypt "$1.img" 64M; mount -o loop "$1.img" "$1"; mkdir "$1/d"
		echo secret | e4crypt add_key -k @u -S s:umemstress "$1/d" >/dev/null; lsattr -d "$1/d" | grep -q ^[^/]*E`, record.ProofEvicted},
	{"btrfs compressed", `truncate -s 128M "$1.img"; mkfs.btrfs -q "$1.img"; mount -o loop,compress-force=zlib "$1.img" "$1"`, record.ProofEvicted},
}

// What is said to be read from the disk is, by the kernel's own account of this process; and
// where a file system takes O_DIRECT and does not mean it, that account says so, too.
func TestOnDisk(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			f, want := cachedFile(t, place.make)
			if read := readBytes(t, func() { readDirect(t, f, want) }); (read == 0) != (place.proof == record.ProofEvicted) {
				t.Errorf("O_DIRECT alone read %d bytes of %d from the disk, so this place is not one where the proof is %q", read, onDiskBytes, place.proof)
			}
			var proof record.FromDisk
			if read := readBytes(t, func() { proof = readOnDisk(t, f, want) }); read == 0 {
				t.Errorf("%+v, and nothing was read from the disk", proof)
			}
			pages := uint64(onDiskBytes / os.Getpagesize())
			if proof.Proof != place.proof || proof.UnprovenPages != 0 || (proof.DirectPages == pages) != (place.proof == record.ProofDirect) {
				t.Errorf("%+v, want %q", proof, place.proof)
			}
		})
	}
}

// A page that somebody maps stays in the page cache: nobody knows where its bytes come from.
func TestOnDiskUnproven(t *testing.T) {
	f, want := cachedFile(t, places[0].make)
	mapped, err := memory.MapFile(f, int64(3*os.Getpagesize()), os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	memory.Touch(mapped.Bytes)
	want[3*os.Getpagesize()] = 0
	if proof := readOnDisk(t, f, want); proof.UnprovenPages != 1 || proof.Proof != record.ProofDirect || proof.DirectPages != uint64(onDiskBytes/os.Getpagesize()-1) {
		t.Errorf("%+v, want one unproven page", proof)
	}
	disk, err := OpenOnDisk(t.Context(), f, 0, onDiskBytes)
	if err != nil {
		t.Fatal(err)
	}
	if disk.Unproven(2) || !disk.Unproven(3) || disk.Unproven(4) {
		t.Error("it is not the mapped page that is unproven")
	}
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
	if err := mapped.Close(); err != nil {
		t.Error(err)
	}
}

// cachedFile makes a file that is on the disk and in the page cache, of bytes that can be
// compressed.
func cachedFile(t *testing.T, script string) (*os.File, []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "place")
	if out, err := exec.Command("sh", "-ec", `mkdir "$1"; `+script+`; mkdir -p "$1/d"`, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	f, err := os.Create(filepath.Join(dir, "d/file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	content := bytes.Repeat([]byte("umemstress"), onDiskBytes/10+1)[:onDiskBytes]
	for at := 0; at < onDiskBytes; at += os.Getpagesize() { // in folios of a page, which stay one by one
		if _, err := f.WriteAt(content[at:at+os.Getpagesize()], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Sync(f); err != nil {
		t.Fatal(err)
	}
	return f, content
}

// readBytes is how much this process has the kernel read from disks meanwhile.
func readBytes(t *testing.T, do func()) uint64 {
	t.Helper()
	read := func() uint64 {
		self, err := procfs.Self()
		if err != nil {
			t.Fatal(err)
		}
		io, err := self.IO()
		if err != nil {
			t.Fatal(err)
		}
		return io.ReadBytes
	}
	before := read()
	do()
	return read() - before
}

func readDirect(t *testing.T, f *os.File, want []byte) {
	t.Helper()
	direct, err := file.Reopen(f, os.O_RDONLY|unix.O_DIRECT)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	wantBytes(t, direct, want)
}

func readOnDisk(t *testing.T, f *os.File, want []byte) record.FromDisk {
	t.Helper()
	disk, err := OpenOnDisk(t.Context(), f, 0, onDiskBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	wantBytes(t, disk, want)
	proof, err := disk.Proof()
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func wantBytes(t *testing.T, f interface {
	ReadAt([]byte, int64) (int, error)
}, want []byte) {
	t.Helper()
	buffer, err := memory.MapAnonymous(onDiskBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer buffer.Close()
	memory.Touch(buffer.Bytes) // or btrfs of 7.2 takes a direct read through the page cache
	if _, err := f.ReadAt(buffer.Bytes, 0); err != nil || !bytes.Equal(buffer.Bytes, want) {
		t.Errorf("%v, or not the bytes that were written", err)
	}
}
