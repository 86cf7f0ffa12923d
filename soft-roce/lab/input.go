package lab

import (
	"errors"
	"fmt"
	"io"
	"time"

	"umemstress/soft-roce/lab/internal/proto"
)

// inputError says why the program's input could not be read to its end. The guest is
// killed for it: a program that takes a part for the whole would give a wrong result.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// errEscaped ends a guest whose terminal was left by hand.
var errEscaped = errors.New("the terminal was left")

// startInput begins to pass on the input, once the program can read it: before that a
// Ctrl-C at the terminal is for this process. It ends with the program, or the guest; a
// read that waits then is left waiting, as nothing ends one.
func (h *hostSide) startInput(kill func(error)) error {
	if h.cfg.Stdin == nil {
		return nil
	}
	input := h.cfg.Stdin
	if h.cfg.Terminal != nil {
		var err error
		if h.raw, err = makeRaw(h.cfg.Terminal, func(size proto.Size) {
			_ = h.events.SendOrder(proto.Order{Kind: proto.OrderResize, Size: size}) // a guest that is gone has no size
		}); err != nil {
			return err
		}
		input = &escapeReader{src: input, escaped: func() { kill(errEscaped) }}
	}
	go func() {
		if err := h.feed(input); err != nil {
			kill(inputError{err})
		}
	}()
	return nil
}

// feed copies the input to its port and says where it ends, since bytes may be under way
// when the port is closed.
func (h *hostSide) feed(input io.Reader) error {
	buf := make([]byte, 64<<10)
	var sent int64
	for {
		n, err := input.Read(buf)
		if n > 0 {
			if _, err := h.stdin.Write(buf[:n]); err != nil {
				return nil // the guest is gone, which others tell
			}
			sent += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = h.events.SendOrder(proto.Order{Kind: proto.OrderInputEnd, Input: sent})
			return nil
		case err != nil:
			return fmt.Errorf("read the program's input: %w", err)
		}
	}
}

// escapeReader looks for what ends a guest that answers to nothing: three times Ctrl-]
// within a second, as with systemd-nspawn. The guest gets them as well.
type escapeReader struct {
	src     io.Reader
	escaped func()
	last    []time.Time
}

const escapeKey = 0x1d // Ctrl-]

func (r *escapeReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	for _, b := range p[:n] {
		if b != escapeKey {
			r.last = nil
			continue
		}
		r.last = append(r.last, time.Now())
		if len(r.last) >= 3 && time.Since(r.last[len(r.last)-3]) < time.Second {
			r.escaped()
		}
	}
	return n, err
}
