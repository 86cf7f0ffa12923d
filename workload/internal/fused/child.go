package fused

import (
	"fmt"
	"io"

	"github.com/hanwen/go-fuse/v2/fuse"

	"umemstress/workload/internal/lateread"
)

// Child is the name of the child that Main is.
const Child = "fuse-server"

// Main serves a file of the size that its argument gives, until its input ends.
func Main(args []string, in io.Reader, out io.Writer) error {
	reads, err := lateread.Child(args, in, out)
	if err != nil {
		return err
	}
	served := &directory{RawFileSystem: fuse.NewDefaultRawFileSystem(), reads: reads}
	server, err := fuse.NewServer(served, fmt.Sprintf("/dev/fd/%d", reads.Connection.Fd()), &fuse.MountOptions{MaxWrite: ReadBytes, DisableXAttrs: true})
	if err != nil {
		return fmt.Errorf("serve FUSE: %w", err)
	}
	go server.Serve()
	return reads.Follow()
}

// directory is what is mounted: a directory of one file.
type directory struct {
	fuse.RawFileSystem // what is asked for besides is not there
	reads              *lateread.Reads
}

const fileNode = fuse.FUSE_ROOT_ID + 1

// attributes are those of a node.
func (d *directory) attributes(node uint64, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = node, fuse.S_IFDIR|0o500, 2
	if node == fileNode {
		out.Mode, out.Nlink, out.Size = fuse.S_IFREG|0o400, 1, uint64(d.reads.Size)
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

// Read waits until it is let go. Signals to who reads do not end it.
func (d *directory) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	return fuse.ReadResultVector(d.reads.Await(int64(in.Offset), int(in.Size))), fuse.OK
}
