package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"umemstress/workload/holder/umem/end"
	"umemstress/workload/payload"
)

// What a command says that is no peer, is told with what came.
func TestOpenErrors(t *testing.T) {
	for _, of := range []struct {
		command, says string
		lacks         bool
	}{
		{"echo 'Permission denied (publickey).' >&2; exit 255", "ended without a word of umemstress peer: Permission denied (publickey).", true},
		{"umemstress-that-is-not-there", "not found", true},
		{"echo 'Welcome to node2!'; cat", `does not begin as umemstress peer does, but with "Welcome to node2!"`, true},
		{"echo '{}'; cat", "does not begin as", true},
		{`echo '{"umemstress_peer":99,"version":"v9","host":"node2"}'; cat`, "the peer on node2 is umemstress v9, which speaks another version (99) than this one (7)", true},
		{`echo '{"umemstress_peer":7,"host":"node2"}'`, "the peer on node2 has ended", false},
		{`echo '{"umemstress_peer":7,"host":"node2"}'; read a; echo oops; cat`, `the peer on node2 answers what is none: "oops"`, false},
		{`echo '{"umemstress_peer":7,"host":"node2"}'; read a; echo '{}'; cat`, "no device", false},
		{`echo '{"umemstress_peer":7,"host":"node2"}'; read a; echo '{"error":{"text":"no RDMA device","lacks":true}}'; cat`, "the peer on node2: no RDMA device", true},
		{"head -c 20000000 /dev/zero", "does not begin as", true},
	} {
		began := time.Now()
		_, err := Open(t.Context(), of.command, end.Config{QueuePairs: 1})
		var lacks interface{ HostLacks() bool }
		if err == nil || !strings.Contains(err.Error(), of.says) || errors.As(err, &lacks) != of.lacks {
			t.Errorf("%s: %v, want %q", of.command, err, of.says)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", of.command, took)
		}
	}
}

// A child that has ended before it was told to has let go of its regions by then.
func TestEndOfEnded(t *testing.T) {
	p := &End{line: line{child: true, broken: errors.New("killed by somebody")}}
	for _, kill := range []bool{false, true} {
		if err := p.Stop(t.Context(), kill); err == nil || err.Error() != "killed by somebody" {
			t.Error(err)
		}
	}
}

// A peer that says nothing is waited for no longer than the run wants.
func TestOpenInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, "exec sleep 60", end.Config{QueuePairs: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// served is what Serve answers to lines, without its greeting.
func served(t *testing.T, lines string) (string, error) {
	t.Helper()
	var said bytes.Buffer
	err := Serve(t.Context(), strings.NewReader(lines), &said, Config{Device: "nosuch0", Version: "test", Backend: "auto"})
	greeted, rest, _ := strings.Cut(said.String(), "\n")
	if !strings.HasPrefix(greeted, `{"umemstress_peer":7,"version":"test","host":"`) {
		t.Errorf("greeted with %q", greeted)
	}
	return rest, err
}

// What is no request ends the peer, and says so; the end of its input is no error.
func TestServe(t *testing.T) {
	if said, err := served(t, ""); said != "" || err != nil {
		t.Errorf("%q, %v", said, err)
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\n", `{"open":3}` + "\n", `{"open":{}`, strings.Repeat("x", maxLine+1)} {
		if said, err := served(t, bad); said != "" || err == nil || !strings.Contains(err.Error(), "what came is no request of umemstress run --peer") {
			t.Errorf("%.20q: %q, %v", bad, said, err)
		}
	}
}

// pipe is a run's side of a peer in this process.
type pipe struct {
	io.Writer
	io.Reader
}

// Requests out of their order, and for more than there is, are answered with an error each.
func TestServeRefuses(t *testing.T) {
	asks, asked := io.Pipe()
	answers, answered := io.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- Serve(t.Context(), asks, answered, Config{Device: "nosuch0", Backend: "auto"})
		_ = answered.Close()
	}()
	to := pipe{asked, answers}
	p := &line{asks: asked, answers: newLines(to), host: "here"}
	if err := p.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		request request
		says    string
	}{
		{request{Await: true}, errOrder.Error()},
		{request{Register: &registerRequest{Bytes: 1}}, errOrder.Error()},
		{request{Fill: &payload.Recipe{}}, errOrder.Error()},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 0}}, "0 queue pairs: from 1 to 1024"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1}}, "0 messages under way: from 1 to 16384"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1, Depth: 1}}, "messages of 0 pieces"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1, Depth: 1, Pieces: 33}}, "messages of 33 pieces"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1, Depth: 1, Pieces: 1, Inline: -1}}, "-1 bytes inline"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1, Depth: 1, Pieces: 1, RateLimit: -1}}, "-1 bytes a second"},
		{request{Open: &openRequest{Verb: "write", QueuePairs: 1, Depth: 1, Pieces: 1}}, "nosuch0"},
	} {
		if _, err := p.ask(t.Context(), of.request); err == nil || !strings.Contains(err.Error(), of.says) {
			t.Errorf("%+v: %v, want %q", of.request, err, of.says)
		}
	}
	_ = asked.Close()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// A line that is long comes whole, and one that is too long does not fill the memory.
func TestReadLine(t *testing.T) {
	long := fmt.Sprintf(`{"register":{"bytes":7,"path":"%s"}}`, strings.Repeat("AAAA", 1<<18))
	var r request
	lines := newLines(strings.NewReader(long + "\n{\"await\":true}\n"))
	read := func() error {
		line, err := readLine(lines)
		if err != nil {
			return err
		}
		r = request{}
		return json.Unmarshal(line, &r)
	}
	if err := read(); err != nil || r.Register == nil || r.Register.Bytes != 7 || len(r.Register.Path) != 4<<18 {
		t.Error(err)
	}
	if err := read(); err != nil || !r.Await {
		t.Error(err)
	}
	if _, err := readLine(newLines(zeros{})); !errors.Is(err, errTooLong) {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Of what a command says beside, the last line is kept.
func TestLastLine(t *testing.T) {
	var l lastLine
	for _, part := range []string{"one\ntw", "o\r\nthr", "ee\n"} {
		_, _ = l.Write([]byte(part))
	}
	if l.String() != "three" {
		t.Errorf("%q", &l)
	}
	_, _ = l.Write(bytes.Repeat([]byte("x"), 5000))
	if n := len(l.String()); n > maxSaid {
		t.Errorf("%d bytes are kept", n)
	}
}

// Whatever comes, the peer answers each line or ends, and neither hangs nor dies.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"open":{"verb":"write","queue_pairs":1,"tx_depth":1,"sge":1}}` + "\n" + `{"send":{"to":-1}}` + "\n"))
	f.Add([]byte(`{"register":{"bytes":9223372036854775807}}` + "\n"))
	f.Add([]byte("\n{}\n[]\n"))
	f.Add([]byte(`{"run":{"host":"\u001b[2J","flags":["--qp=2"]}}` + "\n" + kept + "\n{}\n"))
	f.Add([]byte(`{"fill":{"seed":1,"page_bytes":-1}}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		if err := Serve(t.Context(), bytes.NewReader(lines), io.Discard, Config{Device: "nosuch0", Backend: "auto"}); err == nil {
			return
		} else if !strings.Contains(err.Error(), "what came is no request") {
			t.Error(err)
		}
	})
}
