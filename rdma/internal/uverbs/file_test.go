package uverbs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// pair is a File whose requests arrive at the other end of a socket, each as one
// message, as each is one write to the kernel.
func pair(t testing.TB) (f *File, kernel int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	return &File{fd: fds[0], asyncFD: -1}, fds[1]
}

func receive(t testing.TB, kernel int) []byte {
	t.Helper()
	buffer := make([]byte, 1024)
	n, err := unix.Read(kernel, buffer)
	if err != nil {
		t.Fatal(err)
	}
	return buffer[:n]
}

// native is the order of the ABI: the machine's own.
var native = binary.NativeEndian

// words makes a message of 32-bit words, the first of which is given by halves.
func words(command uint32, in, out uint16, rest ...uint32) []byte {
	m := native.AppendUint32(nil, command)
	m = native.AppendUint16(native.AppendUint16(m, in), out)
	for _, w := range rest {
		m = native.AppendUint32(m, w)
	}
	return m
}

// at reads the response's address, and blanks it, since no test knows it.
func at(message []byte) (address uint64) {
	address = native.Uint64(message[8:])
	clear(message[8:16])
	return address
}

// Every request has the command's number, the words of header and struct in, those
// of the response out, and the fields where the kernel looks for them. The numbers
// are those of ib_user_verbs.h, counted by hand.
func TestRequests(t *testing.T) {
	const response = 0 // blanked
	for name, c := range map[string]struct {
		request  func(*File) error
		want     []byte
		responds bool
	}{
		"GET_CONTEXT": {
			func(f *File) error {
				resp := new(uapi.GetContextResp)
				return call(f, uapi.CmdGetContext, uapi.GetContext{Response: uapi.PointerTo(resp)}, resp)
			},
			words(0, 4, 2, response, response), true,
		},
		"QUERY_PORT": {
			func(f *File) error { _, err := f.QueryPort(3); return err },
			words(2, 6, 10, response, response, native.Uint32([]byte{3, 0, 0, 0}), 0), true,
		},
		"ALLOC_PD": {
			func(f *File) error { _, err := f.AllocPD(); return err },
			words(3, 4, 1, response, response), true,
		},
		"DEALLOC_PD": {func(f *File) error { return f.DeallocPD(7) }, words(4, 3, 0, 7), false},
		"REG_MR": {
			func(f *File) error { _, err := f.RegMR(7, 0x1_0000_2003, 0x2_0000_0005, 3); return err },
			words(9, 12, 3, response, response, 0x2003, 1, 5, 2, 0x2003, 1, 7, 3), true,
		},
		"REREG_MR": {
			func(f *File) error { _, err := f.ReregMR(9, 5, 0x1_0000_2003, 0x2_0000_0005, 3); return err },
			words(11, 14, 2, response, response, 9, 5, 0x2003, 1, 5, 2, 0x2003, 1, 0, 3), true,
		},
		"DEREG_MR": {func(f *File) error { return f.DeregMR(9) }, words(13, 3, 0, 9), false},
		"CREATE_CQ": {
			func(f *File) error { _, err := f.CreateRxeCQ(128, NoChannel); return err },
			words(18, 10, 6, response, response, 0, 0, 128, 0, 0xffffffff, 0), true,
		},
		"CREATE_CQ with a channel": {
			func(f *File) error { _, err := f.CreateRxeCQ(128, 9); return err },
			words(18, 10, 6, response, response, 0, 0, 128, 0, 9, 0), true,
		},
		"CREATE_COMP_CHANNEL": {
			func(f *File) error {
				resp := new(uapi.CreateCompChannelResp)
				return call(f, uapi.CmdCreateCompChannel, uapi.CreateCompChannel{Response: uapi.PointerTo(resp)}, resp)
			},
			words(17, 4, 1, response, response), true,
		},
		"REQ_NOTIFY_CQ": {func(f *File) error { return f.NewArming(4).Ask() }, words(23, 4, 0, 4, 0), false},
		"DESTROY_CQ":    {func(f *File) error { return f.DestroyCQ(4) }, words(20, 6, 2, response, response, 4, 0), true},
		"CREATE_QP": {
			func(f *File) error {
				_, err := f.CreateRxeQP(uapi.CreateQP{PDHandle: 1, SendCQHandle: 2, RecvCQHandle: 3, MaxSendWR: 128, MaxRecvWR: 5, MaxSendSGE: 6, MaxRecvSGE: 7, QPType: 2})
				return err
			},
			words(24, 16, 16, response, response, 0, 0, 1, 2, 3, 0, 128, 5, 6, 7, 0, native.Uint32([]byte{0, 2, 0, 0})), true,
		},
		"DESTROY_QP": {func(f *File) error { return f.DestroyQP(5) }, words(27, 6, 1, response, response, 5, 0), true},
		"POST_SEND": {
			func(f *File) error { return f.NewDoorbell(6).Ring() },
			words(28, 8, 1, response, response, 6, 0, 0, 56), true,
		},
	} {
		f, kernel := pair(t)
		if err := c.request(f); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := receive(t, kernel)
		if c.responds && at(got) == 0 {
			t.Errorf("%s names no memory for its response", name)
		}
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s:\ngot  % x\nwant % x", name, got, c.want)
		}
	}
}

// Of MODIFY_QP, the fields are at the offsets of struct ib_uverbs_modify_qp.
func TestModifyQP(t *testing.T) {
	f, kernel := pair(t)
	err := f.ModifyQP(uapi.ModifyQP{
		QPHandle: 0x11111111, AttrMask: 0x22222222, RQPSN: 0x33333333, SQPSN: 0x44444444, DestQPNum: 0x55555555,
		QPAccessFlags: 0x66666666, QPState: 0x77, PathMTU: 0x88, PortNum: 0x99,
		Dest: uapi.QPDest{SGIDIndex: 0xaa, HopLimit: 0xbb, IsGlobal: 0xcc, PortNum: 0xdd, DGID: [16]uint8{15: 0xee}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, kernel)
	if want := words(26, 30, 0); len(m) != 120 || !bytes.Equal(m[:8], want) {
		t.Fatalf("%d bytes that begin with % x, want 120 and % x", len(m), m[:8], want)
	}
	m = m[8:]
	for offset, want := range map[int]uint32{64: 0x11111111, 68: 0x22222222, 76: 0x33333333, 80: 0x44444444, 84: 0x55555555, 88: 0x66666666} {
		if got := native.Uint32(m[offset:]); got != want {
			t.Errorf("at %d: %#x, want %#x", offset, got, want)
		}
	}
	for offset, want := range map[int]byte{15: 0xee, 24: 0xaa, 25: 0xbb, 30: 0xcc, 31: 0xdd, 96: 0x77, 98: 0x88, 104: 0x99} {
		if m[offset] != want {
			t.Errorf("at %d: %#x, want %#x", offset, m[offset], want)
		}
	}
}

// What the kernel writes to the response is what the request returns. The other end
// of the socket cannot write there, so the response is filled in by hand, at the
// address that went over.
func TestResponseIsWhereTheRequestSays(t *testing.T) {
	f, kernel := pair(t)
	d := f.NewDoorbell(1)
	d.resp.BadWR = 0x12345678
	if err := d.Ring(); err != nil {
		t.Fatal(err)
	}
	address := at(receive(t, kernel))
	var word [4]byte
	n, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{{Base: &word[0], Len: 4}}, []unix.RemoteIovec{{Base: uintptr(address), Len: 4}}, 0)
	if n != 4 || err != nil || native.Uint32(word[:]) != 0x12345678 {
		t.Errorf("%d bytes % x at the response's address, %v", n, word, err)
	}
}

func TestErrnoIsBare(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EBADF, unix.EPIPE} {
		f, kernel := pair(t)
		if errno == unix.EBADF {
			f.fd = -1
		} else if err := unix.Shutdown(kernel, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		if err := f.DeallocPD(1); err != errno {
			t.Errorf("%v, want %v itself", err, errno)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); err != unix.ENOENT {
		t.Errorf("%v, want ENOENT itself", err)
	}
	before := openFiles(t)
	if _, err := Open("/dev/full"); err != unix.ENOSPC {
		t.Errorf("a device that refuses its context: %v, want ENOSPC itself", err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// NextEvent gives each event once, in order, and no part of one. A file that ended is the device's end.
func TestNextEvent(t *testing.T) {
	event := func(kind uint32) []byte {
		m := make([]byte, 16)
		native.PutUint64(m, 1<<40|uint64(kind))
		native.PutUint32(m[8:], kind)
		return m
	}
	for name, c := range map[string]struct {
		events [][]byte
		want   []uint32
	}{
		"nothing": {nil, nil},
		"several": {[][]byte{event(10), event(0), event(8)}, []uint32{10, 0, 8}},
		"cut off": {[][]byte{event(8)[:8], event(9), event(8)[:12]}, []uint32{9}},
	} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.events {
			if _, err := unix.Write(fds[1], e); err != nil {
				t.Fatal(err)
			}
		}
		f := &File{fd: -1, asyncFD: fds[0]}
		for _, want := range c.want {
			if got, ok := f.NextEvent(); !ok || got.EventType != want || got.Element != 1<<40|uint64(want) {
				t.Errorf("%s: %+v, %v, want %d", name, got, ok, want)
			}
		}
		if got, ok := f.NextEvent(); ok {
			t.Errorf("%s: %+v, which nobody has sent", name, got)
		}
		_ = unix.Close(fds[1])
		for range 2 {
			if got, ok := f.NextEvent(); !ok || got.EventType != uapi.EventDeviceFatal {
				t.Errorf("%s: %+v, %v of a file that ended", name, got, ok)
			}
		}
		_ = unix.Close(fds[0])
	}
}

func TestRingAllocatesNothing(t *testing.T) {
	f, kernel := pair(t)
	d := f.NewDoorbell(1)
	buffer := make([]byte, 64)
	if n := testing.AllocsPerRun(50, func() {
		if err := d.Ring(); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Read(kernel, buffer); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A pipe that is full takes a part of a request, which must not pass for all of it.
func TestShortWrite(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Writes longer than a page are taken in parts.
	if err := write(fds[1], make([]byte, size+1)); err == nil {
		t.Error("a part passes for the whole")
	}
	if err := write(fds[1], []byte{1}); !errors.Is(err, unix.EAGAIN) {
		t.Error(fmt.Errorf("a full pipe: %w", err))
	}
}
