//go:build faults

package faults

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/probes/observe"
	"umemstress/soft-roce/lab"
	"umemstress/workload/child"
)

var within = flag.Duration("faults.within", 200*time.Millisecond, "after which time of an event the machine dies: more on one that is busy with other things")

// A death is a way in which a machine dies of a program that nobody here wrote.
type death struct {
	kernel, append string
	by             string   // how the pages are taken from it
	says           []string // the console's words
	released       bool     // it dies after the release, of the writeback
}

var deaths = map[string]death{
	"BUG_ON of the writeback after the release": {unfixed, "oops=panic panic=1", "madvise", []string{"kernel BUG at fs/ext4/inode.c", "mpage_prepare_extent_to_map"}, true},
	"panic_on_warn within the release":          {"5.10", "panic_on_warn=1 panic=1", "memcg", []string{"ext4_set_page_dirty", "ib_umem_release"}, false},
}

// perftestPages is what ib_write_bw registers for messages of 1 MiB: two of them.
const perftestPages = 512

// observed has ib_write_bw pin a file of the guest's own ext4, have its pages cleaned and
// stripped (by memcg: its page cache is that of a memory cgroup of version 1), and end, and the machine die at the next writeback. The journal is on an ext4 of its
// own, without barriers: the host does not lose what a guest has written to a device, and flushing
// its disks takes as long as others let it. What was not synced in the guest dies with the guest
// all the same. The traffic leaves the guest's one processor to others: it never sleeps.
const observed = `
	umemstress=$1 image=$2 within=$3 by=$4 journal=/run/journal/seen pool=$TMPDIR/pool
	mkdir /run/journal
	mount -o loop,nobarrier "$image" /run/journal
	dd if=/dev/zero of="$pool" bs=1M count=4 status=none
	sync
	if [ $by = memcg ]; then
		mkdir /run/memory
		mount -t cgroup -o memory none /run/memory
		mkdir /run/memory/server
		echo 3 >/proc/sys/vm/drop_caches # the file's pages are charged to who brings them back
	fi
	"$umemstress" observe --journal $journal >/dev/null &
	until [ -s $journal/journal.jsonl ]; do sleep 0.1; done
	nice -n 19 ib_write_bw -d rxe0 -F -s 1048576 -D 120 --mmap="$pool" >/dev/null 2>&1 &
	server=$!
	until grep -q ':4853 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done
	[ $by != memcg ] || echo $server >/run/memory/server/cgroup.procs
	nice -n 19 ib_write_bw -d rxe0 -F -s 1048576 -D 120 127.0.0.1 >/dev/null 2>&1 &
	# It fills the region first: only once data comes does it leave the pages alone.
	until [ "$(cat /sys/class/infiniband/rxe0/ports/1/hw_counters/rcvd_pkts)" -gt 2000 ]; do sleep 0.1; done
	until grep -q '"pinned"' $journal/journal.jsonl; do sleep 0.1; done
	"$umemstress" provoke --pid $server --by $by --yes
	until grep -q '"stripped_pages":[1-9]' $journal/summary.json; do sleep 0.1; done
	sleep 1 # the sums are kept every second: by now those of all strips
	kill $server
	wait $server
	sleep $within # what happened is on disk by then
	sync
	sleep 20`

// What a machine dies of that runs somebody else's program is in the journal: who pinned which
// pages of which file, that they were stripped, and what their release did to them, as far as
// the machine lived to see it.
func TestCrashJournals(t *testing.T) {
	haveUnfixed(t)
	for what, d := range deaths {
		held := 0
		for number := range *crashes {
			faults := d.witnessed(t, t.TempDir())
			for _, fault := range faults {
				t.Errorf("%s %d: %s", what, number, fault)
			}
			if len(faults) == 0 {
				held++
			}
		}
		fmt.Printf("%d of %d journals of a %s held\n", held, *crashes, what)
	}
}

// witnessed has a guest die with an observer in it, and says what is wrong with what is left.
func (d death) witnessed(t *testing.T, dir string) (faults []string) {
	t.Helper()
	image, console := filepath.Join(dir, "image"), filepath.Join(dir, "console")
	if err := newExt4(image); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, program(t), "lab", "exec", "--kernel", d.kernel, "--cpus", "1", "--timeout", "2m", "--append", d.append,
		"--share", dir, "--serial", console, "--", "sh", "-c", observed, "sh", program(t), image, fmt.Sprint(within.Seconds()), d.by)
	if !p.ended(3*time.Minute) || p.code() != lab.ExitCrashed {
		return []string{fmt.Sprintf("the machine did not die: %s", p)}
	}
	said, err := os.ReadFile(console)
	if err != nil {
		return []string{err.Error()}
	}
	for _, words := range d.says {
		if !strings.Contains(string(said), words) {
			faults = append(faults, fmt.Sprintf("the console does not say %q: %s", words, p))
		}
	}
	journal, err := recovered(image, dir)
	if err != nil {
		return append(faults, err.Error())
	}
	told, err := readJournal(t, journal)
	if err != nil {
		return append(faults, err.Error())
	}
	return append(faults, d.wrong(told)...)
}

// wrong says what of the journal's lines is not as it happened.
func (d death) wrong(told map[string]observe.Line) (faults []string) {
	events := []string{"pinned", "stripped"}
	if d.released {
		events = append(events, "dirtied", "released")
	}
	for _, event := range events {
		l := told[event]
		if l.Owner == nil || l.Owner.Comm != "ib_write_bw" || filepath.Base(l.Path) != "pool" || l.Filesystem != "ext4" ||
			l.Pages == 0 || event != "stripped" && l.Pages != perftestPages {
			faults = append(faults, fmt.Sprintf("%s: %+v", event, l))
		}
	}
	if s := told[observe.Ended].Summary; s == nil || s.Pinned != 1 || s.Total().Stripped != perftestPages {
		faults = append(faults, fmt.Sprintf("the sums: %+v", s))
	}
	if stack := strings.Join(told["pinned"].Stack, " "); !strings.Contains(stack, "ib_umem_get") {
		faults = append(faults, "the stack of the pin: "+stack)
	}
	if !d.released {
		return faults
	}
	dirtied := told["dirtied"]
	if stack := strings.Join(dirtied.Stack, " "); !dirtied.Bufferless || !strings.Contains(stack, "ib_umem_release") {
		faults = append(faults, fmt.Sprintf("dirtied: %+v", dirtied))
	}
	if !told["stripped"].Time.Before(dirtied.Time) || told["released"].BufferlessPages != perftestPages {
		faults = append(faults, fmt.Sprintf("stripped: %+v; released: %+v", told["stripped"], told["released"]))
	}
	return faults
}

// newExt4 makes a small file system in a file, with features that every kernel knows.
func newExt4(image string) error {
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 32<<20); err != nil {
		return err
	}
	_, err := tool("mkfs.ext4", "-q", "-F", "-O", "none,has_journal,extent,filetype,sparse_super,large_file", image)
	return err
}

// recovered copies the journal out of the file system that the guest died with, after what a
// mount at the next boot does, too: ext4's own journal is replayed.
func recovered(image, dir string) (journal string, err error) {
	if _, err := tool("e2fsck", "-f", "-y", image); err != nil {
		return "", err
	}
	out, err := tool("debugfs", "-R", "rdump /seen "+dir, image)
	if journal = filepath.Join(dir, "seen"); err == nil {
		_, err = os.Stat(journal)
	}
	if err != nil {
		return "", fmt.Errorf("no journal is left: %w: %s", err, out)
	}
	return journal, nil
}

// tool runs one of e2fsprogs.
func tool(name string, args ...string) (said string, err error) {
	path, err := child.Find(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w (apt-get install e2fsprogs)", name, err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	const corrected = 1 // e2fsck's exit code
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == corrected {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return string(out), err
}

// readJournal has the program under test read it, and returns the line of each event.
func readJournal(t *testing.T, journal string) (map[string]observe.Line, error) {
	t.Helper()
	p := start(t, nil, program(t), "observe", "--read", journal, "--format", "json", "--stack")
	if !p.ended(20*time.Second) || p.code() != 0 {
		return nil, fmt.Errorf("the journal is not read: %s", p)
	}
	told := map[string]observe.Line{}
	for decoder := json.NewDecoder(&p.stdout); ; {
		var l observe.Line
		err := decoder.Decode(&l)
		if errors.Is(err, io.EOF) {
			return told, nil
		}
		if err != nil {
			return nil, err
		}
		told[l.Event] = l
	}
}
