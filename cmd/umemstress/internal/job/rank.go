package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/meeting"
	"umemstress/workload/holder/umem/remote"
)

// rank is one of the job.
type rank struct {
	number, size int
	dir          meeting.Directory
	address      string
	wait, gather time.Duration
	run          Run
}

// The names of what ranks have in the directory.
func folderOf(rank int) string  { return "rank-" + strconv.Itoa(rank) }
func outcomeOf(rank int) string { return folderOf(rank) + ".json" }
func addressOf(rank int) string { return folderOf(rank) + ".address" }

// do is all that a rank does.
func (r *rank) do(ctx context.Context, stdout io.Writer, format string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	part := r.hold
	if r.number%2 != 0 {
		part = r.serve
	}
	o := part(ctx)
	if err := r.tell(o); err != nil {
		return fmt.Errorf("tell rank 0 what this one came to: %w", err)
	}
	if r.number != 0 {
		return ctx.Err() // what it came to is rank 0's to say
	}
	all := r.gatherAll(ctx)
	err := all.print(stdout, format)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return errors.Join(all.status(), err)
}

// begin claims this rank's place. Rank 0 does so first, so that what others write is of this job.
func (r *rank) begin(ctx context.Context) error {
	if err := os.MkdirAll(string(r.dir), 0o755); err != nil {
		return exit.Usagef("--dir: %w", err)
	}
	if r.number != 0 {
		if _, err := r.dir.Await(ctx, r.wait, folderOf(0)); err != nil {
			return r.late(0, err)
		}
	}
	return r.dir.Claim(folderOf(r.number))
}

// late tells of a rank that has not come in time.
func (r *rank) late(other int, err error) error {
	if errors.Is(err, meeting.ErrNobody) {
		return fmt.Errorf("rank %d has not come within %v: does it see %s, was it started, and is --wait as long as that takes?", other, r.wait, r.dir)
	}
	return err
}

// hold does the run, as whose peer the next rank serves.
func (r *rank) hold(ctx context.Context) outcome {
	peer := r.number + 1
	found, err := r.dir.Await(ctx, r.wait, outcomeOf(peer), addressOf(peer))
	if err != nil {
		return r.failed(r.late(peer, err))
	}
	if found == outcomeOf(peer) { // it has failed already
		o := r.failed(fmt.Errorf("rank %d could not be its peer", peer))
		if theirs, err := r.read(peer); err == nil && theirs.Exit != exit.Clean {
			o.Exit, o.Reason = theirs.Exit, fmt.Sprintf("rank %d: %s", peer, theirs.Reason)
		}
		return o
	}
	program, err := os.Executable()
	if err != nil {
		return r.failed(err)
	}
	command := strings.Join([]string{"exec", quoted(program), bridgeName, quoted(r.dir.Path(addressOf(peer)))}, " ")
	record, code, reason := r.run.Do(ctx, r.dir.Path(folderOf(r.number)), command)
	return r.ended(record, code, reason)
}

// quoted is a word as a shell takes it.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// serve is the peer of the rank before.
func (r *rank) serve(ctx context.Context) outcome {
	err := r.served(ctx)
	if err == nil || errors.Is(err, errNotNeeded) {
		return r.ended(nil, exit.Clean, "")
	}
	return r.failed(err)
}

// errNotNeeded is of a peer whose run has ended before it came to it, and says itself why.
var errNotNeeded = errors.New("the run ended before it came to its peer")

func (r *rank) served(ctx context.Context) error {
	listener, err := meeting.Listen(r.address)
	if err != nil {
		return err
	}
	defer listener.Close()
	text, err := listener.Text()
	if err != nil {
		return err
	}
	if err := r.dir.Write(folderOf(r.number), addressOf(r.number), text); err != nil {
		return err
	}
	ctxOfMeeting, end := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.attend(ctxOfMeeting, end)
	}()
	conn, err := listener.Accept(ctxOfMeeting)
	end(nil)
	<-over
	err = errors.Join(err, os.Remove(r.dir.Path(addressOf(r.number)))) // whatever came of it, nobody else is to come
	if conn == nil {
		return err
	}
	defer conn.Close()
	if err != nil {
		return err
	}
	return remote.Serve(ctx, conn, conn, r.run.Peer)
}

// attend ends the meeting when the other rank has not come in time, or will not come.
func (r *rank) attend(ctx context.Context, end context.CancelCauseFunc) {
	holder := r.number - 1
	if _, err := r.dir.Await(ctx, r.wait, folderOf(holder)); err != nil {
		end(r.late(holder, err))
		return
	}
	_, err := r.dir.Await(ctx, r.wait, outcomeOf(holder))
	switch {
	case err == nil:
		end(errNotNeeded)
	case errors.Is(err, meeting.ErrNobody):
		end(fmt.Errorf("rank %d is there, but has not connected within %v: is it stopped, or does it not reach --address?", holder, r.wait))
	default:
		end(err)
	}
}
