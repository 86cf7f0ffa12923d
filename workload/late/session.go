package late

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"umemstress/workload/internal/lateread"
)

// maxAnswers is what a session may keep in this process's memory, in bytes: more than as many reads bring as QEMU has
// threads for.
const maxAnswers = 32 << 20

// session is what there is from the opening of the control file until it is closed.
type session struct {
	number uint64

	mu       sync.Mutex
	log      []byte // what is read from the control file
	order    []byte // what was written to it, up to the end of its first line
	wanted   int64  // bytes of the answers; -1: that is not said yet
	got      int64  // bytes that were written
	answers  []byte
	letGo    bool
	answered chan struct{} // closed when reads are let go

	over  chan struct{} // closed when the session ends
	close func()        // ends it, once
}

func newSession(number uint64) *session {
	s := &session{
		number: number, log: fmt.Appendln(nil, number), wanted: -1,
		answered: make(chan struct{}), over: make(chan struct{}),
	}
	s.close = sync.OnceFunc(func() { close(s.over) })
	return s
}

// read is what the log has from there on.
func (s *session) read(at int64, length int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at < 0 || at >= int64(len(s.log)) {
		return nil
	}
	return bytes.Clone(s.log[at:min(at+int64(length), int64(len(s.log)))])
}

// write takes the next bytes of the order: a line that says how many bytes the answers are, and those.
func (s *session) write(at int64, data []byte) fuse.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at != s.got || s.letGo {
		return fuse.EINVAL
	}
	rest := data
	if s.wanted < 0 {
		line, answers, whole := bytes.Cut(data, []byte("\n"))
		s.order = append(s.order, line...)
		if len(s.order) > 20 { // digits of an int64
			return fuse.EINVAL
		}
		rest = answers
		if whole {
			wanted, err := strconv.ParseInt(string(s.order), 10, 64)
			if err != nil || wanted <= 0 || wanted > maxAnswers {
				return fuse.EINVAL
			}
			s.wanted = wanted
		}
	}
	if s.wanted >= 0 && int64(len(s.answers)+len(rest)) > s.wanted {
		return fuse.EINVAL
	}
	s.answers = append(s.answers, rest...)
	s.got += int64(len(data))
	if int64(len(s.answers)) == s.wanted {
		s.letGo = true
		close(s.answered)
	}
	return fuse.OK
}

// await tells of a read and waits until it is to be answered.
func (s *session) await(killed <-chan struct{}, at int64, length int) (fuse.ReadResult, fuse.Status) {
	s.mu.Lock()
	if !s.letGo {
		s.log = append(s.log, lateread.Arrival(at, length)+"\n"...)
	}
	s.mu.Unlock()
	select {
	case <-s.answered:
		// In one piece: of a thousand small ones the kernel takes none (IOV_MAX), and the read would wait for ever.
		return fuse.ReadResultData(bytes.Join(lateread.Over(s.answers, at, length), nil)), fuse.OK
	case <-killed:
		return nil, fuse.EINTR
	case <-s.over:
		return nil, fuse.EIO
	}
}
