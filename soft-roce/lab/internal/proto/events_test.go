package proto

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEventsArriveAsSent(t *testing.T) {
	var port bytes.Buffer
	s := NewEventStream(&port)
	sent := []Event{
		{Kind: EventReady},
		{Kind: EventFailed, Error: "mount \x00\n\xff: no such device"},
		{Kind: EventExited, Code: 143, Stdout: 1 << 40, Stderr: 7},
	}
	for _, ev := range sent {
		if err := s.Send(ev); err != nil {
			t.Fatal(err)
		}
	}
	sent[1].Error = strings.ToValidUTF8(sent[1].Error, "\ufffd")
	for _, want := range sent {
		if got, err := s.Receive(); err != nil || got != want {
			t.Errorf("received %+v, %v; sent %+v", got, err, want)
		}
	}
	if _, err := s.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestLongErrorFitsIntoALine(t *testing.T) {
	var port bytes.Buffer
	s := NewEventStream(&port)
	if err := s.Send(Event{Kind: EventFailed, Error: strings.Repeat("\x01", 1<<20)}); err != nil {
		t.Fatal(err)
	}
	if ev, err := s.Receive(); err != nil || len(ev.Error) != maxError {
		t.Errorf("%d bytes, %v", len(ev.Error), err)
	}
}

func TestDamagedLines(t *testing.T) {
	for name, line := range map[string]string{
		"no JSON":       "hello\n",
		"empty":         "\n",
		"unknown kind":  `{"Kind": "done"}` + "\n",
		"exit code":     `{"Kind": "exited", "Code": 256}` + "\n",
		"negative size": `{"Kind": "exited", "Stdout": -1}` + "\n",
		"endless":       strings.Repeat("x", 2*maxLine),
	} {
		ev, err := NewEventStream(bytes.NewBufferString(line)).Receive()
		if err == nil || errors.Is(err, io.EOF) || len(err.Error()) > 1000 {
			t.Errorf("%s: %+v, %v", name, ev, err)
		}
	}
	// A guest that dies while it writes is no damage.
	if _, err := NewEventStream(bytes.NewBufferString(`{"Kind": "exi`)).Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("cut off: %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		`{"Kind":"ready"}` + "\n" + `{"Kind":"exited","Code":12,"Stdout":4096,"Stderr":17}` + "\n",
		`{"Kind":"failed","Error":"soft-RoCE: create link rxe0"}` + "\n",
		`{"Kind":"exited","Code":-1,"Stdout":-9223372036854775808}` + "\n",
		"\n\x00{}\n[]\nnull\n", `{"Kind":"ready"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := NewEventStream(bytes.NewBuffer(bytes.Clone(raw)))
		for {
			ev, err := s.Receive()
			if err != nil {
				return
			}
			if err := ev.check(); err != nil {
				t.Errorf("received %+v: %v", ev, err)
			}
			again := NewEventStream(new(bytes.Buffer))
			if err := again.Send(ev); err != nil {
				t.Fatal(err)
			}
			if got, err := again.Receive(); err != nil || got.Kind != ev.Kind || got.Code != ev.Code {
				t.Errorf("%+v comes back as %+v, %v", ev, got, err)
			}
		}
	})
}
