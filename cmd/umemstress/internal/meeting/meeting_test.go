package meeting

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// opened is a listener, with the file that tells of it.
func opened(t *testing.T) (l *Listener, file string) {
	t.Helper()
	l, err := Listen("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	text, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	dir := Directory(t.TempDir())
	if err := errors.Join(dir.Claim("rank-1"), dir.Write("rank-1", "rank-1.address", text)); err != nil {
		t.Fatal(err)
	}
	return l, dir.Path("rank-1.address")
}

// echo answers what comes over the one connection that is let in, until that is hung up.
func echo(ctx context.Context, l *Listener) <-chan error {
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept(ctx)
		if err == nil {
			_, err = io.Copy(conn, conn)
			err = errors.Join(err, conn.Close())
		}
		done <- err
	}()
	return done
}

// What goes in at one end comes out at the other, to the last byte, and both end by themselves.
func TestBridge(t *testing.T) {
	l, file := opened(t)
	done := echo(t.Context(), l)
	said := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var heard bytes.Buffer
	if err := Bridge(t.Context(), file, bytes.NewReader(said), &heard); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(heard.Bytes(), said) {
		t.Errorf("%d bytes came back of %d", heard.Len(), len(said))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token can be read by others: %v, %v", info.Mode(), err)
	}
	// The one that was let in was the last.
	if err := Bridge(t.Context(), file, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a second one comes in: %v", err)
	}
}

// Who has no token, or another, or says nothing, is not let in, and does not keep the one out that has it.
func TestWrongToken(t *testing.T) {
	l, file := opened(t)
	done := echo(t.Context(), l)
	var others []net.Conn
	for _, token := range []string{"", "0123", strings.Repeat("0", 2*tokenBytes), strings.ToUpper(l.place.Token) + "x", l.place.Token[1:] + "x"} {
		conn, err := net.Dial("tcp", l.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, token); err != nil {
			t.Fatal(err)
		}
		others = append(others, conn)
	}
	stranger := others[2] // its token is as long as one is
	_ = stranger.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := stranger.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a wrong token is answered with %d bytes, %v", n, err)
	}
	var heard bytes.Buffer
	if err := Bridge(t.Context(), file, strings.NewReader("hello"), &heard); err != nil || heard.String() != "hello" {
		t.Errorf("%q, %v", &heard, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i, conn := range others { // none of them has waited for its bound
		_ = conn.SetReadDeadline(time.Now().Add(tokenBound / 2))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("visitor %d still has its connection: %d bytes, %v", i, n, err)
		}
	}
}

// Nobody comes: the wait ends with its context, and says why.
func TestNobodyComes(t *testing.T) {
	l, _ := opened(t)
	why := errors.New("the run has ended")
	ctx, end := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { end(why) })
	if conn, err := l.Accept(ctx); conn != nil || !errors.Is(err, why) {
		t.Errorf("%v, %v", conn, err)
	}
	if _, err := net.Dial("tcp", l.listener.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

// A side that goes amid the run is told of, and so is what never was one.
func TestBridgeIsHungUpOn(t *testing.T) {
	for says, word := range map[string]string{"hung up amid the run": "hello\n", "hung up without a word: is ": ""} {
		l, file := opened(t)
		done := make(chan error, 1)
		go func() {
			conn, err := l.Accept(t.Context())
			if err == nil {
				_, err = io.WriteString(conn, word)
				err = errors.Join(err, conn.Close())
			}
			done <- err
		}()
		in, keep := io.Pipe() // more may be asked
		var heard bytes.Buffer
		if err := Bridge(t.Context(), file, in, &heard); err == nil || !strings.Contains(err.Error(), says) || heard.String() != word {
			t.Errorf("%v, having heard %q; want %q", err, &heard, says)
		}
		_ = keep.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// An interruption ends a bridge over which nothing comes.
func TestBridgeIsInterrupted(t *testing.T) {
	l, file := opened(t)
	done := echo(t.Context(), l)
	ctx, cancel := context.WithCancel(t.Context())
	in, keep := io.Pipe()
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := Bridge(ctx, file, in, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = keep.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A file of an earlier job, or that is none, is said to be so.
func TestBridgeToNobody(t *testing.T) {
	l, file := opened(t)
	_ = l.Close()
	garbled := filepath.Join(t.TempDir(), "garbled")
	if err := os.WriteFile(garbled, []byte(`{"address":"127.0.0.1:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{file: "connect to the other rank: ", garbled: "does not say where", garbled + "x": "no such file"} {
		if err := Bridge(t.Context(), path, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
}

// An address that this host does not have is refused with the flag that gave it.
func TestListenElsewhere(t *testing.T) {
	if l, err := Listen("192.0.2.1"); err == nil || !strings.Contains(err.Error(), "--address") {
		t.Errorf("%v, %v", l, err)
	}
}

// A place is claimed once, and what is in a directory that was used is told.
func TestClaim(t *testing.T) {
	dir := Directory(t.TempDir())
	if err := dir.Claim("rank-0"); err != nil {
		t.Fatal(err)
	}
	err := dir.Claim("rank-0")
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "rank-0 is there, of an earlier job") {
		t.Error(err)
	}
	if err := Directory(dir.Path("none")).Claim("rank-0"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A file appears whole or not at all, and what is waited for is found, the first of several.
func TestAwait(t *testing.T) {
	dir := Directory(t.TempDir())
	if _, err := dir.Await(t.Context(), pollEvery/2, "a", "b"); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	if err := dir.Claim("rank-1"); err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("x"), 1<<20)
	wrote := make(chan error, 1)
	time.AfterFunc(pollEvery/2, func() { wrote <- dir.Write("rank-1", "b", text) })
	found, err := dir.Await(t.Context(), time.Minute, "a", "b")
	if read, readErr := os.ReadFile(dir.Path(found)); err != nil || readErr != nil || found != "b" || len(read) != len(text) {
		t.Errorf("%q of %d bytes: %v, %v", found, len(read), err, readErr)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if err := dir.Write("rank-1", "a", nil); err != nil {
		t.Error(err)
	}
	if found, err := dir.Await(t.Context(), time.Minute, "a", "b"); found != "a" || err != nil {
		t.Errorf("%q, %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dir.Await(ctx, time.Minute, "c"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir.Path("rank-1")); err != nil || len(entries) > 0 {
		t.Errorf("what was written elsewhere stays: %v, %v", entries, err)
	}
	if _, err := Directory(dir.Path("none")).Await(t.Context(), time.Minute, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
