package fused

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/memory"
)

// Child is the name of the child that Main is.
const Child = "fuse-server"

// Main serves a file of the size that its argument gives. A line of its input has it answer reads by
// so many bytes of the answers; with the end of its input it ends.
func Main(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes a size, not %q", Child, args)
	}
	size, err := strconv.ParseUint(args[0], 10, 63)
	if err != nil {
		return fmt.Errorf("the size: %w", err)
	}
	signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	served := &directory{RawFileSystem: fuse.NewDefaultRawFileSystem(), size: size, arrivals: out, answered: make(chan struct{})}
	server, err := fuse.NewServer(served, fmt.Sprintf("/dev/fd/%d", connectionDescriptor), &fuse.MountOptions{MaxWrite: ReadBytes, DisableXAttrs: true})
	if err != nil {
		return fmt.Errorf("serve FUSE: %w", err)
	}
	go server.Serve()
	var length int
	if _, err := fmt.Fscanln(in, &length); err != nil {
		return err
	}
	answers, err := memory.MapFile(os.NewFile(answersDescriptor, "answers"), 0, length)
	if err != nil {
		return err
	}
	served.answer(answers.Bytes)
	_, err = io.Copy(io.Discard, in)
	return err
}

// directory is what is mounted: a directory of one file.
type directory struct {
	fuse.RawFileSystem // what is asked for besides is not there
	size               uint64

	mu       sync.Mutex
	arrivals io.Writer

	answered chan struct{} // closed when reads are let go
	answers  []byte        // set before
}

const fileNode = fuse.FUSE_ROOT_ID + 1

// attributes are those of a node.
func (d *directory) attributes(node uint64, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = node, fuse.S_IFDIR|0o500, 2
	if node == fileNode {
		out.Mode, out.Nlink, out.Size = fuse.S_IFREG|0o400, 1, d.size
	}
}

func (d *directory) Lookup(_ <-chan struct{}, _ *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if name != fileName {
		return fuse.ENOENT
	}
	out.NodeId = fileNode
	d.attributes(fileNode, &out.Attr)
	return fuse.OK
}

func (d *directory) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	d.attributes(in.NodeId, &out.Attr)
	return fuse.OK
}

// Open has every read be a direct one, of which the kernel asks for the next part once it has the one before.
func (d *directory) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

// Read tells of its arrival, and waits. Signals to who reads do not end it.
func (d *directory) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	d.arrived(in)
	<-d.answered
	return fuse.ReadResultVector(over(d.answers, int64(in.Offset), int(in.Size))), fuse.OK
}

func (d *directory) arrived(in *fuse.ReadIn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.arrivals, arrival+"\n", in.Offset, in.Size) // who does not listen any more is dead
}

func (d *directory) answer(by []byte) {
	d.answers = by
	close(d.answered)
}

// over are the pieces of source, over and over, that are so many bytes from an offset on.
func over(source []byte, at int64, length int) (pieces [][]byte) {
	for length > 0 {
		piece := source[at%int64(len(source)):]
		piece = piece[:min(length, len(piece))]
		pieces = append(pieces, piece)
		at += int64(len(piece))
		length -= len(piece)
	}
	return pieces
}
