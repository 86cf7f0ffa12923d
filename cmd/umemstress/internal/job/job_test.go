package job

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/meeting"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/record"
)

// These ranks meet as they do on hosts, and their peers serve; what runs do on kernels, the guests' tests show.

// ranksOf are those of a job whose runs greet their peers, and then end as their number has it.
func ranksOf(t *testing.T, size int, end func(rank int, greeted string) (*record.Record, int, string)) []*rank {
	t.Helper()
	dir := meeting.Directory(t.TempDir())
	var all []*rank
	for number := range size {
		all = append(all, &rank{
			number: number, size: size, dir: dir, address: "127.0.0.1", wait: 20 * time.Second, gather: 20 * time.Second,
			run: Run{
				Peer: remote.Config{Device: "nosuch0", Backend: "auto", Version: "v1"},
				Do: func(ctx context.Context, output, peer string) (*record.Record, int, string) {
					if want := string(dir) + fmt.Sprintf("/rank-%d", number); output != want {
						t.Errorf("rank %d has its evidence in %s, want %s", number, output, want)
					}
					return end(number, greet(ctx, t, peer))
				},
			},
		})
	}
	return all
}

// greet has what the peer says first, over the bridge that the command starts.
func greet(ctx context.Context, t *testing.T, command string) string {
	t.Helper()
	words := strings.Split(command, "'") // exec 'PROGRAM' job-bridge 'FILE'
	if len(words) != 5 || words[0] != "exec " || words[2] != " "+bridgeName+" " {
		t.Errorf("the command of the peer is %s", command)
		return ""
	}
	asks, in := io.Pipe()
	out, answers := io.Pipe()
	over := make(chan error, 1)
	go func() {
		err := meeting.Bridge(ctx, words[3], asks, answers)
		_ = answers.Close()
		over <- err
	}()
	line, _ := bufio.NewReader(out).ReadString('\n')
	_ = in.Close()
	if err := <-over; err != nil && ctx.Err() == nil {
		return err.Error()
	}
	return line
}

// together has some ranks do their part at once; it has what rank 0 prints, and what each ends with.
func together(ctx context.Context, format string, ranks ...*rank) (stdout string, ends map[int]error) {
	var out bytes.Buffer
	var all sync.WaitGroup
	var mu sync.Mutex
	ends = map[int]error{}
	for _, r := range ranks {
		all.Go(func() {
			w := io.Discard
			if r.number == 0 {
				w = &out
			}
			err := r.do(ctx, w, format)
			mu.Lock()
			defer mu.Unlock()
			ends[r.number] = err
		})
	}
	all.Wait()
	return out.String(), ends
}

// lost is of a run that lost data.
func lost() *record.Record {
	r := &record.Record{Verdict: record.DataLost, Reason: "gone", Device: record.Device{Name: "rxe0", Peer: &record.Peer{Host: "node2", Name: "rxe1"}}}
	r.Channels.Disk = record.DiskChannel{State: record.StateOK, CheckedPages: 512, StalePages: 511}
	return r
}

// clean loses nothing, and rank 2 does.
func clean(rank int, _ string) (*record.Record, int, string) {
	if rank == 2 {
		return lost(), record.DataLost.ExitCode(), "gone"
	}
	return &record.Record{Verdict: record.Clean}, exit.Clean, ""
}

// Pairs meet, each rank tells what it came to, and rank 0 prints all and ends as the worst.
func TestJob(t *testing.T) {
	var mu sync.Mutex
	greetings := map[int]string{}
	all := ranksOf(t, 4, func(rank int, greeted string) (*record.Record, int, string) {
		mu.Lock()
		defer mu.Unlock()
		greetings[rank] = greeted
		return clean(rank, greeted)
	})
	stdout, ends := together(t.Context(), "json", all...)
	for _, even := range []int{0, 2} {
		if !strings.HasPrefix(greetings[even], `{"umemstress_peer":`) {
			t.Errorf("the peer of rank %d says %q", even, greetings[even])
		}
	}
	if code := exit.Code(ends[0]); code != 12 {
		t.Errorf("rank 0 ends with %d: %v", code, ends[0])
	}
	for _, other := range []int{1, 2, 3} { // or the launcher would end rank 0
		if ends[other] != nil {
			t.Errorf("rank %d: %v", other, ends[other])
		}
	}
	var printed result
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || printed.Schema != schema || printed.Exit != 12 || len(printed.Outcomes) != 4 {
		t.Fatalf("%v: %s", err, stdout)
	}
	host, _ := os.Hostname()
	if o := printed.Outcomes[2]; o.Verdict != record.DataLost || o.Hit != 511 || o.Of != 512 || o.Host != host || o.Device.Peer.Name != "rxe1" || o.Evidence != "rank-2" {
		t.Errorf("rank 2: %+v", o)
	}
	names, err := all[0].dir.Look()
	if got := strings.Join(names, " "); err != nil || got != "rank-0 rank-0.json rank-1 rank-1.json rank-2 rank-2.json rank-3 rank-3.json" {
		t.Errorf("in the directory are %s, %v", got, err)
	}

	// The directory is of that job, to every rank of another.
	_, ends = together(t.Context(), "text", all...)
	for number := range 4 {
		if err := ends[number]; exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), fmt.Sprintf("rank-%d is there, of an earlier job", number)) {
			t.Errorf("rank %d again: %v", number, err)
		}
	}
}

// A rank that never comes is missed by all that need it, and named by its number.
func TestMissingRanks(t *testing.T) {
	all := ranksOf(t, 4, clean)
	for _, r := range all {
		r.wait, r.gather = time.Second, 3*time.Second
	}
	_, ends := together(t.Context(), "text", all[1:]...)
	for _, number := range []int{1, 2, 3} {
		if err := ends[number]; exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "rank 0 has not come within 1s") {
			t.Errorf("rank %d: %v", number, err)
		}
	}
	stdout, ends := together(t.Context(), "text", all[0], all[3])
	if exit.Code(ends[0]) != exit.Failed || ends[3] != nil {
		t.Errorf("%v", ends)
	}
	for _, says := range []string{"rank 1 has not come within 1s", "rank 1 told nothing", "rank 2 told nothing", "rank 2 has not come within 1s"} {
		if !strings.Contains(stdout, says) {
			t.Errorf("no %q in:\n%s", says, stdout)
		}
	}
}

// A peer that cannot be one says why at once, through its run's rank; and a run that fails before it came to its
// peer lets that go.
func TestPartnerFails(t *testing.T) {
	all := ranksOf(t, 2, clean)
	all[1].address = "192.0.2.1" // of no host
	stdout, ends := together(t.Context(), "text", all...)
	if exit.Code(ends[0]) != exit.Failed || strings.Count(stdout, "listen for the other rank") != 2 || !strings.Contains(stdout, "rank 1: listen for") {
		t.Errorf("%v:\n%s", ends, stdout)
	}

	all = ranksOf(t, 2, nil)
	all[0].run.Do = func(context.Context, string, string) (*record.Record, int, string) {
		return nil, exit.HostLacks, "no loop device"
	}
	began := time.Now()
	stdout, ends = together(t.Context(), "text", all...)
	if exit.Code(ends[0]) != exit.HostLacks || ends[1] != nil || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, "none (exit code 3)  -      no loop device") {
		t.Errorf("%v:\n%s", ends, stdout)
	}
	if took := time.Since(began); took > all[0].wait/2 {
		t.Errorf("the peer of a run that failed waited for %v", took)
	}
	if names, _ := all[0].dir.Look(); strings.Contains(strings.Join(names, " "), "address") {
		t.Errorf("the token stays: %q", names)
	}
}

// An interruption ends each side, wherever it is, and rank 0 tells what it knows.
func TestInterruptedJob(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	all := ranksOf(t, 4, clean)
	all[0].run.Do = func(ctx context.Context, _, _ string) (*record.Record, int, string) {
		cancel()
		<-ctx.Done()
		return nil, exit.Interrupted, "interrupted"
	}
	stdout, ends := together(ctx, "text", all[:3]...) // rank 2 waits for rank 3, and rank 1 for rank 0
	for number, err := range ends {
		if exit.Code(err) != exit.Interrupted {
			t.Errorf("rank %d: %v", number, err)
		}
	}
	if !strings.Contains(stdout, "interrupted") || !strings.Contains(stdout, "rank 3 told nothing") {
		t.Error(stdout)
	}
}

// The table has a row for each run, and for each peer that failed; nothing of a host's breaks its lines.
func TestTable(t *testing.T) {
	of := record.Device{Name: "mlx5_0", Peer: &record.Peer{Host: "node2", Name: "mlx5_1"}}
	all := result{Ranks: 6, Outcomes: []outcome{
		{Rank: 0, Host: "node1", Exit: 12, Verdict: record.DataLost, Reason: "one\ntwo\tthree\x1b[31m", Device: &of, Hit: 3, Of: 4, Evidence: "rank-0"},
		{Rank: 1, Host: "node2"},
		{Rank: 2, Exit: 1, Silent: true, Reason: "rank 2 told nothing"},
		{Rank: 3, Host: "node4", Exit: 1, Reason: "listen"},
		{Rank: 4, Host: "node5", Verdict: record.Refused, Device: &record.Device{Name: "rxe0"}},
		{Rank: 5, Host: "node6"},
	}}
	var b bytes.Buffer
	if err := all.print(&b, "text"); err != nil {
		t.Fatal(err)
	}
	const want = `rank  host   device  peer          verdict             pages   why
0     node1  mlx5_0  node2 mlx5_1  data-lost           3 of 4  one; two three\x1b[31m
2     -      -       -             none (exit code 1)  -       rank 2 told nothing
3     node4  -       -             none (exit code 1)  -       listen
4     node5  rxe0    -             refused             -       -
`
	if b.String() != want {
		t.Errorf("the table is\n%s, want\n%s", &b, want)
	}
}

// What is no outcome of its rank is not taken for one.
func TestBadOutcomes(t *testing.T) {
	r := &rank{size: 6, dir: meeting.Directory(t.TempDir()), gather: time.Second}
	for name, text := range map[string]string{"rank-0.json": `{"rank":0}`, "rank-1.json": "", "rank-2.json": `{"rank":4}`, "rank-3.json": "[]", "rank-4.json": `{"rank":4,"silent":true}`, "rank-5.json": `{"rank":5,"exit":77}`} {
		if err := os.WriteFile(r.dir.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := r.gatherAll(t.Context())
	if all.Exit != exit.Failed {
		t.Errorf("exit code %d", all.Exit)
	}
	for number, o := range all.Outcomes {
		if bad := number >= 1 && number <= 4; o.Silent != bad || bad && !strings.Contains(o.Reason, fmt.Sprintf("rank %d told nothing that can be read: ", number)) {
			t.Errorf("rank %d: %+v", number, o)
		}
	}
}

// A word stays one for a shell.
func TestQuoted(t *testing.T) {
	if got := quoted(`/it's/a dir`); got != `'/it'\''s/a dir'` {
		t.Error(got)
	}
}

// A directory that cannot be made, or written, is told of.
func TestNoDirectory(t *testing.T) {
	all := ranksOf(t, 2, clean)
	file := all[0].dir.Path("file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all[0].dir = meeting.Directory(file + "/dir")
	if err := all[0].do(t.Context(), io.Discard, "text"); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), "--dir: ") {
		t.Error(err)
	}
	if err := errors.Join(all[1].dir.Claim("rank-1"), os.RemoveAll(all[1].dir.Path("rank-1"))); err != nil {
		t.Fatal(err)
	}
	if err := all[1].tell(outcome{Rank: 1}); err == nil {
		t.Error("it is told where nothing can be written")
	}
}
