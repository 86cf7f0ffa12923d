package signals

import (
	"errors"
	"os"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func signalSelf(t *testing.T, s unix.Signal) {
	t.Helper()
	if err := unix.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

// The first signal ends the context, one that comes with it changes nothing, and a later
// one ends the program.
func TestInterruptible(t *testing.T) {
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		exited := make(chan struct{})
		ctx, stop := Interruptible(func() { close(exited) })
		signalSelf(t, s)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%v ends nothing", s)
		}
		signalSelf(t, s)
		select {
		case <-exited:
			t.Errorf("%v, sent twice, is taken for a second thought", s)
		case <-time.After(sameRequest + 100*time.Millisecond):
		}
		signalSelf(t, s)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			t.Errorf("%v: the later one does not end the program", s)
		}
		stop()
	}
}

// What nohup has the program ignore stays ignored.
func TestInterruptibleUnderNohup(t *testing.T) {
	signal.Ignore(unix.SIGHUP)
	defer signal.Reset(unix.SIGHUP)
	ctx, stop := Interruptible(func() {})
	defer stop()
	signalSelf(t, unix.SIGHUP)
	signalSelf(t, unix.SIGTERM) // it comes after the other
	<-ctx.Done()
	if !signal.Ignored(unix.SIGHUP) {
		t.Error("SIGHUP is not ignored any more")
	}
}

// Once hangups are asked for they come from the channel and end nothing, also under nohup; the
// other signals end as before.
func TestHangups(t *testing.T) {
	defer signal.Reset(unix.SIGHUP)
	for _, ignored := range []bool{false, true} {
		if ignored {
			signal.Ignore(unix.SIGHUP)
		}
		ctx, stop := Interruptible(func() { t.Error("the program ends at once") })
		hangups := Hangups()
		for range 3 {
			signalSelf(t, unix.SIGHUP)
			select {
			case <-hangups:
			case <-time.After(10 * time.Second):
				t.Fatal("the hangup does not come")
			}
		}
		if ctx.Err() != nil {
			t.Error("a hangup ends the program")
		}
		signalSelf(t, unix.SIGTERM)
		<-ctx.Done()
		stop()
	}
}

// Once pipes are outlived, a write to one that nobody reads is an error, also on standard
// output; without, this test would end here.
func TestOutlivePipes(t *testing.T) {
	OutlivePipes()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	saved, err := unix.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	if err := unix.Dup2(int(w.Fd()), 1); err != nil {
		t.Fatal(err)
	}
	_, err = os.Stdout.WriteString("x")
	if restored := unix.Dup2(saved, 1); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, unix.EPIPE) {
		t.Error(err)
	}
}
