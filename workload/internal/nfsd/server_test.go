package nfsd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"umemstress/workload/internal/worktest"
)

const size = 3 << 12

func start(t *testing.T) *Server {
	t.Helper()
	s, err := Serve(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial connects as the kernel does.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a reserved port takes root: run the test as root")
	}
	for port := 1023; port > 600; port-- {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		if c, err := net.DialTCP("tcp4", from, s.listener.Addr().(*net.TCPAddr)); err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
	}
	t.Fatal("no reserved port is free")
	return nil
}

func send(t *testing.T, c net.Conn, records ...[]byte) {
	t.Helper()
	for _, r := range records {
		if _, err := c.Write(r); err != nil {
			t.Fatal(err)
		}
	}
}

// answer is what the server says next, without its mark.
func answer(t *testing.T, c net.Conn) []byte {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	mark := make([]byte, markBytes)
	if _, err := io.ReadFull(c, mark); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, binary.BigEndian.Uint32(mark)&^lastFragment)
	if _, err := io.ReadFull(c, said); err != nil {
		t.Fatal(err)
	}
	return said
}

// It is known of all reads that they wait, none is answered before, and each gets its bytes then.
func TestReadsWait(t *testing.T) {
	s := start(t)
	c := dial(t, s)
	send(t, c, read(0, 4096), read(4096, 4096), read(8192, 8192))
	worktest.Eventually(t, "all reads have arrived", func() bool { return s.Waiting() == 4096+4096+8192 })
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatalf("%d bytes of an answer before it was let go", n)
	}
	s.LetGo(func(into []byte, at int64) {
		for i := range into {
			into[i] = byte(1 + at>>12)
		}
	})
	for i := range 3 { // the last one reaches beyond the file
		if said := answer(t, c); !bytes.HasSuffix(said, bytes.Repeat([]byte{byte(1 + i)}, 4096)) || bytes.Contains(said[len(said)-4096:], []byte{0}) {
			t.Errorf("answer %d ends in %x", i, said[len(said)-8:])
		}
	}
	c.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Reads of a run that fails get an error, and no bytes.
func TestReadsFail(t *testing.T) {
	s := start(t)
	c := dial(t, s)
	send(t, c, read(0, 4096))
	s.Fail()
	const statusIO = 5 // NFS3ERR_IO
	if said := answer(t, c); len(said) > 200 || binary.BigEndian.Uint32(said[24:]) != statusIO {
		t.Errorf("%x", said)
	}
	c.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Who is not the kernel, or root, is not served, and neither is what is no call.
func TestStrangers(t *testing.T) {
	s := start(t)
	c, err := net.Dial("tcp4", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an answer to a stranger")
	}
	garbage := dial(t, s)
	send(t, garbage, bytes.Repeat([]byte("GET / "), 100))
	if _, err := garbage.Read(make([]byte, 1)); err == nil {
		t.Error("an answer to garbage")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// askAll makes a call of each procedure of NFSv3 but READ. What the server answers does not matter here:
// it does answer, and stays.
func askAll(t *testing.T, c net.Conn) {
	t.Helper()
	for procedure := range uint32(22) {
		if procedure != procRead {
			send(t, c, call(programNFS, procedure, append(handle(), 0, 0, 4096, 1, 4, 0)...))
			_ = answer(t, c)
		}
	}
}

// Nothing that a client asks changes the file that is only read.
func TestReadOnly(t *testing.T) {
	s := start(t)
	defer s.Close()
	c := dial(t, s)
	defer c.Close()
	askAll(t, c)
	send(t, c, read(0, 4096))
	s.LetGo(func(into []byte, _ int64) { copy(into, bytes.Repeat([]byte{9}, len(into))) })
	if said := answer(t, c); !bytes.HasSuffix(said, []byte{9, 9, 9, 9}) {
		t.Errorf("%x", said)
	}
}

// What is written is in the file behind it, and what is read is that.
func TestStored(t *testing.T) {
	backing, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer backing.Close()
	if err := backing.Truncate(size); err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := serve(l, stored{backing}, 1)
	c := dial(t, s)
	const write, setAttributes = 7, 2
	send(t, c, call(programNFS, write, append(handle(), 0, 4096, 8, 2, 8, 0x01020304, 0x05060708)...))
	_ = answer(t, c)
	send(t, c, read(4096, 8))
	if said := answer(t, c); !bytes.HasSuffix(said, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("%x", said)
	}
	behind := make([]byte, 8)
	if _, err := backing.ReadAt(behind, 4096); err != nil || !bytes.Equal(behind, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("%x, %v", behind, err)
	}
	send(t, c, call(programNFS, setAttributes, append(handle(), 0, 0, 0, 1, 0, 4100, 0, 1, 0)...)) // the size, and the time as it is now
	_ = answer(t, c)
	if info, err := backing.Stat(); err != nil || info.Size() != 4100 {
		t.Errorf("%+v, %v", info, err)
	}
	send(t, c, call(programNFS, write, append(handle(), 0, 4096, 1<<30, 2, 1<<30)...)) // more than it sends
	_ = answer(t, c)
	send(t, c, read(4096, 4096))
	if said := answer(t, c); !bytes.HasSuffix(said, []byte{1, 2, 3, 4}) {
		t.Errorf("after a write that lies about its size: %x", said)
	}
	askAll(t, c)
	c.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
