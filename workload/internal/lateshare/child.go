package lateshare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"umemstress/workload/internal/lateread"
)

// Child is the name of the child that Main is.
const Child = "9p-session"

// Main has a session until its input ends: it passes on what reads arrive, and has the host let them go.
func Main(args []string, in io.Reader, out io.Writer) error {
	reads, err := lateread.Child(args, in, out)
	if err != nil {
		return err
	}
	ended := make(chan error, 3)
	go func() { ended <- follow(reads) }()
	go func() {
		if err := order(reads.Connection, reads.Answers()); err != nil {
			ended <- err
		}
	}()
	go func() { ended <- reads.Follow() }()
	return <-ended
}

// often is how often the host is asked for reads that have arrived.
const often = 5 * time.Millisecond

// follow passes on what the control file has behind its first line.
func follow(reads *lateread.Reads) error {
	var line []byte
	first := true
	for at := int64(0); ; {
		var log [512]byte
		n, err := reads.Connection.ReadAt(log[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("follow late reads: %w", err)
		}
		at += int64(n)
		for _, part := range bytes.SplitAfter(log[:n], []byte("\n")) {
			line = append(line, part...)
			if !bytes.HasSuffix(line, []byte("\n")) {
				continue
			}
			if !first {
				from, length, err := lateread.ParseArrival(string(line))
				if err != nil {
					return fmt.Errorf("the host said %q: %w", line, err)
				}
				reads.Arrived(from, length)
			}
			first, line = false, nil
		}
		if n == 0 {
			time.Sleep(often)
		}
	}
}

// order has reads answered by those bytes, over and over.
func order(control *os.File, answers []byte) error {
	begin := fmt.Appendln(nil, len(answers))
	if _, err := control.WriteAt(begin, 0); err != nil {
		return fmt.Errorf("let late reads go: %w", err)
	}
	const piece = 256 << 10
	for at := 0; at < len(answers); at += piece {
		if _, err := control.WriteAt(answers[at:min(at+piece, len(answers))], int64(len(begin)+at)); err != nil {
			return fmt.Errorf("let late reads go: %w", err)
		}
	}
	return nil
}
