package nfsd

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// connection reads calls from its socket as they arrive, also while go-nfs, which answers one
// after another, has one that waits: so it is known of every read that it is in flight.
type connection struct {
	net.Conn
	records chan []byte
	rest    []byte // of the record that is being read
	closing func() error
	gone    chan struct{} // closed when it is to be closed
}

const (
	maxRecord = WriteBytes + 4096 // bytes of a call
	maxReads  = 8192              // that have not been answered: more than a run makes
)

func newConnection(c net.Conn, l *listener) *connection {
	n := &connection{Conn: c, records: make(chan []byte, l.ahead), gone: make(chan struct{})}
	n.closing = sync.OnceValue(func() error {
		close(n.gone)
		defer l.count(-1)
		return c.Close()
	})
	go n.receive(l)
	return n
}

// receive takes records until the socket ends.
func (n *connection) receive(l *listener) {
	defer close(n.records)
	defer n.Close()
	for r := bufio.NewReader(n.Conn); ; {
		record, err := readRecord(r)
		if err != nil {
			return
		}
		l.asked.Add(asksFor(record))
		select {
		case n.records <- record:
		case <-n.gone:
			return
		}
	}
}

func (n *connection) Read(into []byte) (int, error) {
	if len(n.rest) == 0 {
		record, more := <-n.records
		if !more {
			return 0, io.EOF
		}
		n.rest = record
	}
	took := copy(into, n.rest)
	n.rest = n.rest[took:]
	return took, nil
}

func (n *connection) Close() error { return n.closing() }

const (
	markBytes    = 4       // of a record's mark (RFC 5531, section 11)
	lastFragment = 1 << 31 // in the mark
)

var errRecord = errors.New("a record of RPC that no client of ours sends")

// readRecord reads a call with its mark. The kernel sends each in a single fragment.
func readRecord(r io.Reader) ([]byte, error) {
	mark := make([]byte, markBytes)
	if _, err := io.ReadFull(r, mark); err != nil {
		return nil, err
	}
	m := binary.BigEndian.Uint32(mark)
	length := m &^ lastFragment
	if m == length || length > maxRecord {
		return nil, errRecord
	}
	record := append(mark, make([]byte, length)...)
	_, err := io.ReadFull(r, record[markBytes:])
	return record, err
}

const (
	programNFS = 100003
	procRead   = 6 // of NFSv3 (RFC 1813)
)

// asksFor is how many bytes the call asks to be read: of a READ the last number, of another 0.
func asksFor(record []byte) int64 {
	const words = 6 // xid, CALL, the version of RPC, program, its version, procedure
	call := record[markBytes:]
	if len(call) < 4*(words+1) {
		return 0
	}
	word := func(n int) uint32 { return binary.BigEndian.Uint32(call[4*n:]) }
	if word(1) != 0 || word(3) != programNFS || word(5) != procRead {
		return 0
	}
	return int64(binary.BigEndian.Uint32(call[len(call)-4:]))
}
