package late

import (
	"strconv"
	"strings"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// directory is what is mounted.
type directory struct {
	fuse.RawFileSystem // what is asked for besides is not there

	mu       sync.Mutex
	last     uint64
	sessions map[uint64]*session
	failed   bool
}

func newDirectory() *directory {
	return &directory{RawFileSystem: fuse.NewDefaultRawFileSystem(), sessions: map[uint64]*session{}}
}

// The nodes; that of a session's reads is its number more than firstReads.
const (
	controlNode = fuse.FUSE_ROOT_ID + 1
	firstReads  = controlNode + 1
)

// maxSessions is how many there can be at a time. A run has one.
const maxSessions = 8

// session is the one that has the number.
func (d *directory) session(number uint64) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[number]
}

// fail ends all sessions, and no other begins.
func (d *directory) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = true
	for _, s := range d.sessions {
		s.close()
	}
}

func attributes(node uint64, out *fuse.Attr) {
	out.Ino, out.Nlink, out.Mode = node, 1, fuse.S_IFREG|0o444
	switch node {
	case fuse.FUSE_ROOT_ID:
		out.Nlink, out.Mode = 2, fuse.S_IFDIR|0o555
	case controlNode:
		out.Mode = fuse.S_IFREG | 0o666
	default:
		out.Size = Size
	}
}

func (d *directory) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	digits, ofReads := strings.CutPrefix(name, Reads)
	number, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case in.NodeId != fuse.FUSE_ROOT_ID:
		return fuse.ENOTDIR
	case name == Control:
		out.NodeId = controlNode
	case ofReads && err == nil && d.session(number) != nil:
		out.NodeId = firstReads + number
	default:
		return fuse.ENOENT
	}
	attributes(out.NodeId, &out.Attr)
	return fuse.OK
}

func (d *directory) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	attributes(in.NodeId, &out.Attr)
	return fuse.OK
}

// StatFs is asked by QEMU, which serves no directory whose file system does not say what it is.
func (d *directory) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.NameLen = 4096, 255
	return fuse.OK
}

// Open has every read and write come as it is made. That of the control file begins a session.
func (d *directory) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	if in.NodeId != controlNode {
		return fuse.OK
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed || len(d.sessions) == maxSessions {
		return fuse.EBUSY
	}
	d.last++
	d.sessions[d.last] = newSession(d.last)
	out.Fh = d.last
	return fuse.OK
}

// Release ends the session that the control file's opening began.
func (d *directory) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if in.NodeId != controlNode {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.sessions[in.Fh]; s != nil {
		s.close()
		delete(d.sessions, in.Fh)
	}
}

// Read of the control file brings the session's log, and of its reads what was ordered, late. A signal to who reads ends
// it: threads of QEMU have all blocked but SIGKILL, which they could not end by otherwise.
func (d *directory) Read(killed <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	number := in.Fh
	if in.NodeId != controlNode {
		number = in.NodeId - firstReads
	}
	s := d.session(number)
	switch {
	case s == nil: // it is over
		return nil, fuse.EIO
	case in.NodeId == controlNode:
		return fuse.ReadResultData(s.read(int64(in.Offset), int(in.Size))), fuse.OK
	}
	length := min(int64(in.Size), Size-int64(in.Offset))
	if length <= 0 {
		return fuse.ReadResultData(nil), fuse.OK
	}
	return s.await(killed, int64(in.Offset), int(length))
}

func (d *directory) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	s := d.session(in.Fh)
	if in.NodeId != controlNode || s == nil {
		return 0, fuse.EIO
	}
	if status := s.write(int64(in.Offset), data); status != fuse.OK {
		return 0, status
	}
	return uint32(len(data)), fuse.OK
}

// What whoever opens or makes a file may ask for besides.
func (d *directory) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }
func (d *directory) ReadDir(<-chan struct{}, *fuse.ReadIn, *fuse.DirEntryList) fuse.Status {
	return fuse.OK
}
func (d *directory) ReadDirPlus(<-chan struct{}, *fuse.ReadIn, *fuse.DirEntryList) fuse.Status {
	return fuse.OK
}
func (d *directory) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }
