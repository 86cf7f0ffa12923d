package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"umemstress/workload/evidence"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/fault"
)

// remembering is a Keeper that remembers what came.
type remembering struct {
	parts []string
	logs  []string
	full  error // of the first part
	kept  func()
}

func (m *remembering) Keep(p evidence.Part) error {
	m.parts = append(m.parts, fmt.Sprintf("%s@%d %s", p.File, p.At, p.Bytes))
	if m.kept != nil {
		m.kept()
	}
	return m.full
}

func (m *remembering) Log(host, level, text string) {
	m.logs = append(m.logs, host+" "+level+" "+text)
}

const hello = `echo '{"umemstress_peer":7,"host":"node2"}'; `

// What the other host says of a run is what comes of it, and where it ends without its last word it is gone.
func TestDo(t *testing.T) {
	const part = `echo '{"part":{"file":"run.json","at":0,"bytes":"e30="}}'; `
	for _, of := range []struct {
		command, says string
		over          bool
		usage, lacks  bool
		parts         int
	}{
		{hello + "read r; " + part + `echo '{}'; echo '{"over":{}}'; read k; [ "$k" = '{"kept":true}' ]`, "", true, false, false, 1},
		{hello + `read r; echo '{"over":{"error":{"text":"--file x: it exists","usage":true}}}'; cat`, "the peer on node2: --file x: it exists", true, true, false, 0},
		{hello + `read r; echo '{"over":{"error":{"text":"give --allow-crash","lacks":true}}}'; cat`, "the peer on node2: give --allow-crash", true, false, true, 0},
		{hello + "read r; " + part + "echo 'Connection closed' >&2; exit 255", "the peer on node2 has ended: Connection closed", false, false, false, 1},
		{hello + "read r; echo oops; cat", `the peer on node2 answers what is none: "oops`, false, false, false, 0},
		{hello + `read r; echo '{"error":{"text":"a request for nothing that this version knows"}}'; exit 3`, "the peer on node2 has ended", false, false, false, 0},
		{hello + `read r; echo '{"ask":[]}'; cat`, "the peer on node2 answers what is none", false, false, false, 0},
		{"echo 'Permission denied (publickey).' >&2; exit 255", "ended without a word of umemstress peer: Permission denied (publickey).", false, false, true, 0},
	} {
		k := &remembering{}
		began := time.Now()
		o, err := Do(t.Context(), of.command, RunRequest{}, Config{Device: "nosuch0", Backend: "auto"}, k)
		var lacks interface{ HostLacks() bool }
		var usage interface{ Usage() bool }
		if o.Over != of.over || (err == nil) != (of.says == "") || err != nil && !strings.Contains(err.Error(), of.says) || errors.As(err, &usage) != of.usage || errors.As(err, &lacks) != of.lacks || len(k.parts) != of.parts {
			t.Errorf("%s: %+v, %v, %q; want %q", of.command, o, err, k.parts, of.says)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v", of.command, took)
		}
	}
}

// What cannot be kept ends the run, and so does an interruption, of which the other host hears by the end of its input.
func TestDoEnds(t *testing.T) {
	k := &remembering{full: errors.New("no space left")}
	o, err := Do(t.Context(), hello+`read r; echo '{"part":{"file":"run.json"}}'; cat >/dev/null`, RunRequest{}, Config{}, k)
	if o.Over || err == nil || err.Error() != "no space left" {
		t.Errorf("%+v, %v", o, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	k = &remembering{kept: cancel}
	part := `echo '{"part":{"file":"run.json"}}'; `
	o, err = Do(ctx, hello+"read r; "+part+`read r; [ "$r" = '{"interrupt":true}' ]; `+part+`echo '{"over":{"error":{"text":"interrupted"}}}'`, RunRequest{}, Config{}, k)
	if !o.Over || !errors.Is(err, context.Canceled) || len(k.parts) != 2 {
		t.Errorf("%+v, %v, %q", o, err, k.parts)
	}
}

// between has a peer in this process do a run, as this side's do has it done.
func between(t *testing.T, k Keeper, run func(context.Context, RunRequest, *Caller) error) (over bool, err, served error) {
	t.Helper()
	asks, asked := io.Pipe()
	answers, answered := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), asks, answered, Config{Backend: "auto", Run: run})
		_ = answered.Close()
	}()
	l := &line{asks: asked, answers: newLines(answers)}
	if err := l.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := writeLine(asked, request{Run: &RunRequest{Host: "node1", Flags: []string{"--qp=2"}}}); err != nil {
		t.Fatal(err)
	}
	d := &doing{line: l, server: &server{config: Config{Device: "nosuch0", Backend: "auto"}}, keeper: k, asks: make(chan request, 1)}
	over, err = d.do(t.Context())
	_ = asked.Close()
	return over, err, <-ended
}

// A peer that does a run asks, is answered, and tells; its errors have the name of the host that they are of.
func TestCaller(t *testing.T) {
	k := &remembering{}
	var kept bool
	over, err, served := between(t, k, func(ctx context.Context, r RunRequest, c *Caller) error {
		if r.Host != "node1" || c.Host() != "node1" || !slices.Equal(r.Flags, []string{"--qp=2"}) {
			t.Errorf("%+v", r)
		}
		if _, err := c.Open(ctx, end.Config{Connection: "RC", Verb: "write", QueuePairs: 1, Depth: 1, Pieces: 1}); err == nil || !strings.HasPrefix(err.Error(), "the other end, on node1: ") || !strings.Contains(err.Error(), "nosuch0") {
			t.Errorf("%v", err)
		}
		c.Log("info", "phase pin")
		err := errors.Join(c.Keep(evidence.Part{File: "kmsg.log", At: 7, Bytes: []byte("x\n")}), fault.Lacksf("no room"))
		kept = c.End(err)
		return err
	})
	var lacks interface{ HostLacks() bool }
	if !over || !kept || served != nil || err == nil || !strings.HasSuffix(err.Error(), ": no room") || !errors.As(err, &lacks) {
		t.Errorf("over %t, kept %t: %v; the peer: %v", over, kept, err, served)
	}
	if len(k.parts) != 1 || k.parts[0] != "kmsg.log@7 x\n" || len(k.logs) != 1 || !strings.HasSuffix(k.logs[0], " info phase pin") {
		t.Errorf("%q, %q", k.parts, k.logs)
	}
	if over, err, served := between(t, k, nil); !over || served != nil || err == nil || !strings.Contains(err.Error(), "does no run of its own") {
		t.Errorf("a peer that does none: over %t, %v; %v", over, err, served)
	}
}

// A run that is interrupted where it was started ends in order: its evidence is kept.
func TestCallerInterrupted(t *testing.T) {
	asks, asked := io.Pipe()
	answers, answered := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), asks, answered, Config{Run: func(ctx context.Context, _ RunRequest, c *Caller) error {
			c.Log("info", "it begins")
			<-ctx.Done()
			if !c.End(ctx.Err()) {
				t.Error("it is not told that all is kept")
			}
			return ctx.Err()
		}})
	}()
	l := &line{asks: asked, answers: newLines(answers)}
	if err := l.greet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := writeLine(asked, request{Run: &RunRequest{}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &doing{line: l, server: &server{}, keeper: begun{&remembering{}, cancel}, asks: make(chan request, 1)}
	if over, err := d.do(ctx); !over || !errors.Is(err, context.Canceled) {
		t.Errorf("over %t, %v", over, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// begun does something when something is logged.
type begun struct {
	*remembering
	do func()
}

func (b begun) Log(string, string, string) { b.do() }

// Who hangs up ends the run of the peer that it had started.
func TestCallerHangsUp(t *testing.T) {
	asks, asked := io.Pipe()
	ended := make(chan error, 1)
	began := make(chan bool)
	go func() {
		ended <- Serve(t.Context(), asks, io.Discard, Config{Run: func(ctx context.Context, _ RunRequest, c *Caller) error {
			close(began)
			<-ctx.Done()
			if c.End(ctx.Err()) {
				t.Error("it keeps what it cannot have heard of")
			}
			return ctx.Err()
		}})
	}()
	if err := writeLine(asked, request{Run: &RunRequest{}}); err != nil {
		t.Fatal(err)
	}
	<-began
	_ = asked.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Whatever a peer says that does a run, it ends with an error that a person can read, or with its last word.
func FuzzTold(f *testing.F) {
	for _, seed := range []string{
		"", "{}\n{}\n", "null\n", `{"over":{}}` + "\n", `{"over":{"error":{"text":"\u001b[2J"}}}` + "\n", `{"log":{"level":"x","text":"\u202e"}}` + "\n",
		`{"part":{"file":"../x","at":-1,"bytes":"AAAA"}}` + "\n" + `{"part":{"bytes":"?"}}` + "\n",
		`{"ask":{"open":{"verb":"write","connection":"RC","queue_pairs":1,"tx_depth":1,"sge":1}}}` + "\n" + `{"ask":{}}` + "\n" + `{"ask":3}` + "\n",
		`{"ask":{"run":{}}}` + "\n", `{"ask":{"register":{"bytes":9223372036854775807}},"over":{}}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		k := &remembering{}
		d := &doing{
			line:   &line{asks: unheard{io.Discard}, answers: newLines(bytes.NewReader(said)), host: "node2"},
			server: &server{config: Config{Device: "nosuch0", Backend: "auto"}}, keeper: k, asks: make(chan request, 1),
		}
		over, err := d.do(t.Context())
		if !over && err == nil {
			t.Error("it ended without a word, and without an error")
		}
		told := k.logs
		if err != nil {
			told = append(told, err.Error())
		}
		for _, text := range told {
			if len(text) > 16*maxShown || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Errorf("%d bytes: %.200q", len(text), text)
			}
		}
	})
}
