package memory

import (
	"errors"
	"fmt"
	"os"
)

// Frames returns the number of the page frame that holds each page of mem; 0 for a page that
// is not mapped. It takes CAP_SYS_ADMIN: the kernel hides the numbers from anybody else
// (fs/proc/task_mmu.c, pagemap_read).
func Frames(mem []byte) ([]uint64, error) {
	entries, err := pagemap(mem)
	if err != nil {
		return nil, err
	}
	frames := make([]uint64, len(entries))
	for i, e := range entries {
		if e&pagemapPresent == 0 {
			continue
		}
		if frames[i] = e & pagemapFrame; frames[i] == 0 {
			return nil, errors.New("/proc/self/pagemap hides the page frames; it takes CAP_SYS_ADMIN")
		}
	}
	return frames, nil
}

// Bits of an entry of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h; private:
// include/linux/kernel-page-flags.h).
const (
	kpfCompoundHead = 1 << 15
	kpfCompoundTail = 1 << 16
	kpfPrivate      = 1 << 35
)

// A folio of the page cache lies within an aligned block of so many frames: it has no more
// pages than a huge page (include/linux/pagemap.h, MAX_PAGECACHE_ORDER), and is aligned to its
// size.
const blockFrames = 512

// Folio is one of the kernel's folios.
type Folio struct {
	Head    uint64 // its first frame
	Pages   int
	Private bool // it has private data: buffers, or what another file system keeps of it
}

// FrameFlags is a look at /proc/kpageflags. It reads each block of frames once.
type FrameFlags struct {
	file   *os.File
	blocks map[uint64][]uint64
}

// OpenFrameFlags begins a look, which has to be closed.
func OpenFrameFlags() (*FrameFlags, error) {
	f, err := os.Open("/proc/kpageflags")
	if err != nil {
		return nil, fmt.Errorf("%w; it takes root, and a kernel with CONFIG_PROC_PAGE_MONITOR", err)
	}
	return &FrameFlags{file: f, blocks: map[uint64][]uint64{}}, nil
}

// Folio returns the folio that a frame belongs to.
func (l *FrameFlags) Folio(frame uint64) (Folio, error) {
	block, head, err := l.head(frame)
	if err != nil {
		return Folio{}, err
	}
	pages := uint64(1)
	if block[head]&kpfCompoundHead != 0 {
		for head+pages < uint64(len(block)) && block[head+pages]&kpfCompoundTail != 0 {
			pages++
		}
	}
	return Folio{Head: frame - frame%blockFrames + head, Pages: int(pages), Private: block[head]&kpfPrivate != 0}, nil
}

// of returns the flags of a frame, which are those of its folio's first one.
func (l *FrameFlags) of(frame uint64) (uint64, error) {
	block, head, err := l.head(frame)
	if err != nil {
		return 0, err
	}
	return block[head], nil
}

// head returns the block of a frame, and where in it the frame's folio begins.
func (l *FrameFlags) head(frame uint64) (block []uint64, at uint64, err error) {
	first := frame - frame%blockFrames
	if block, err = l.block(first); err != nil {
		return nil, 0, err
	}
	at = frame - first
	if at >= uint64(len(block)) {
		return nil, 0, fmt.Errorf("/proc/kpageflags ends before frame %d", frame)
	}
	for at > 0 && block[at]&kpfCompoundTail != 0 {
		at--
	}
	return block, at, nil
}

// block returns the flags of the block that begins with a frame; the last one of the
// machine's memory may be shorter.
func (l *FrameFlags) block(first uint64) ([]uint64, error) {
	if block, ok := l.blocks[first]; ok {
		return block, nil
	}
	raw := make([]byte, blockFrames*8)
	n, err := l.file.ReadAt(raw, int64(first*8))
	if n == 0 {
		return nil, fmt.Errorf("read /proc/kpageflags at frame %d: %w", first, err)
	}
	l.blocks[first] = words(raw[:n-n%8])
	return l.blocks[first], nil
}

// Close ends the look.
func (l *FrameFlags) Close() error { return l.file.Close() }
