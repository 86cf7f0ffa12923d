package machine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// failingWriter takes some bytes and then fails.
type failingWriter struct {
	bytes.Buffer
	room int
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.Len()+len(p) > w.room {
		return 0, io.ErrShortWrite
	}
	return w.Buffer.Write(p)
}

func TestSink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dst := &failingWriter{room: 4}
	s := NewSink(r, dst)
	go s.Drain()
	for _, part := range []string{"ab", "cd", "efgh"} {
		if _, err := w.WriteString(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// A writer that fails must not hold up the guest.
	if !s.WaitFor(8) {
		t.Error("8 bytes were not read")
	}
	w.Close()
	if s.WaitFor(9) {
		t.Error("more was read than written")
	}
	if err := s.Wait(); dst.String() != "abcd" || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("passed on %q, %v", dst.String(), err)
	}
}
