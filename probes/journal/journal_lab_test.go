//go:build lab

package journal

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/probes/observe"
)

// What was seen before the machine died of it is on disk: here it panics at ext4's warning,
// within the release, and what came before names the program, its file and the pages.
func TestJournalOutlivesTheMachine(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "umemstress")
	if out, err := exec.Command("go", "build", "-o", program, "umemstress/cmd/umemstress").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	const script = `
		"$1" observe --journal "$2/journal" >"$2/told" 2>&1 &
		until [ -s "$2/journal/journal.jsonl" ]; do sleep 0.1; done
		"$1" run --scenario rdma/ext4/pageout/none --file-size 4M --anon-size 4M -D 1 --allow-crash --observe off -o "$2/evidence"`
	var said bytes.Buffer
	cmd := exec.Command(program, "lab", "exec", "--kernel", "5.10", "--append", "panic_on_warn=1", "--share", dir, "--",
		"sh", "-c", script, "sh", program, dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 20 {
		t.Fatalf("%v, want exit code 20, of a kernel that died: %s", err, &said)
	}
	told := map[string]observe.Line{}
	r, err := Read(filepath.Join(dir, "journal"), func(l observe.Line) error { told[l.Event] = l; return nil })
	if err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	for _, event := range []string{"pinned", "stripped"} {
		l, ok := told[event]
		if !ok || l.Pages == 0 || l.Owner == nil || l.Owner.Comm != "umemstress" || l.Filesystem != "ext4" || l.Path == "" || len(l.Stack) == 0 {
			t.Errorf("%s: %+v", event, l)
		}
	}
	if told["pinned"].Pages != 1024 { // strips come page by page, and the first event is of those of 100 ms
		t.Errorf("pinned: %+v", told["pinned"])
	}
	if r.Summary == nil || r.Summary.Pinned != 1 || r.Summary.Total().Stripped != 1024 {
		t.Errorf("%+v", r.Summary)
	}
	if stack := strings.Join(told["pinned"].Stack, " "); !strings.Contains(stack, "ib_umem_get") || !strings.Contains(stack, "syscall") {
		t.Errorf("the stack of the pin: %s", stack)
	}
	t.Logf("%+v\n%+v", told, r)
}
