package lateread

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/memory"
)

// Reads are those that a child has in hand.
type Reads struct {
	Size       int64    // of the file
	Connection *os.File // to the kernel

	in       io.Reader
	mu       sync.Mutex
	arrivals io.Writer

	answered chan struct{} // closed when they are let go
	answers  []byte        // set before
}

// Child begins a child that has these arguments.
func Child(args []string, in io.Reader, out io.Writer) (*Reads, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("a server takes a size, not %q", args)
	}
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || size < 0 {
		return nil, fmt.Errorf("the size %q: %w", args[0], err)
	}
	signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
	return &Reads{
		Size: size, Connection: os.NewFile(connectionDescriptor, "connection"),
		in: in, arrivals: out, answered: make(chan struct{}),
	}, nil
}

// Follow returns when the parent wants no more of the child, which is to serve meanwhile. A line of its
// input has reads answered, by so many bytes of the answers.
func (r *Reads) Follow() error {
	var length int
	if _, err := fmt.Fscanln(r.in, &length); err != nil {
		return err
	}
	answers, err := memory.MapFile(os.NewFile(answersDescriptor, "answers"), 0, length)
	if err != nil {
		return err
	}
	r.answers = answers.Bytes
	close(r.answered)
	_, err = io.Copy(io.Discard, r.in)
	return err
}

const arrival = "%d %d"

// Arrival is how it is said where a read begins that has arrived, and how much it asks for.
func Arrival(at int64, length int) string { return fmt.Sprintf(arrival, at, length) }

// ParseArrival takes such a line.
func ParseArrival(line string) (at int64, length int, err error) {
	_, err = fmt.Sscanf(line, arrival, &at, &length)
	return at, length, err
}

// Await tells of a read's arrival, waits until it is to be answered, and returns the answer's pieces.
func (r *Reads) Await(at int64, length int) [][]byte {
	r.Arrived(at, length)
	return Over(r.Answers(), at, length)
}

// Answers waits until reads are to be answered, and returns by what, over and over.
func (r *Reads) Answers() []byte {
	<-r.answered
	return r.answers
}

// Arrived tells of a read's arrival.
func (r *Reads) Arrived(at int64, length int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.arrivals, Arrival(at, length)) // who does not listen any more is dead
}

// Over are the pieces of source, over and over, that are so many bytes from an offset on.
func Over(source []byte, at int64, length int) (pieces [][]byte) {
	for length > 0 {
		piece := source[at%int64(len(source)):]
		piece = piece[:min(length, len(piece))]
		pieces = append(pieces, piece)
		at += int64(len(piece))
		length -= len(piece)
	}
	return pieces
}
