//go:build faults

package faults

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// repeated has rdma_rxe get requests of atomic operations twice, and tells how many: a queue pair that waits for the shortest time,
// beside something that has the processor meanwhile: newer kernels do the work in kworkers.
const repeated = `while :; do :; done &
"$1" run --scenario rdma/tmpfs/none/none --verb fadd --qp-timeout 1 --file-size 512K --observe off --allow-crash --output /tmp/evidence
code=$?; kill $!; echo "duplicates: $(cat /sys/class/infiniband/rxe0/ports/1/hw_counters/duplicate_request)"; exit $code`

var duplicates = regexp.MustCompile(`(?m)^duplicates: (\d+)$`)

// What docs/findings/rxe-atomic.md says of the answer to an atomic operation: a kernel that keeps it dies when the
// request comes again, and one that makes another goes on, with every number right. Newer ones of 5.10 hang of it in place of a panic,
// which is not to be waited for: the first warning is to be a panic.
func TestCrashAtomic(t *testing.T) {
	for _, kernel := range []string{"5.10", "6.1", "6.12", "sid"} {
		p := start(t, nil, program(t), "lab", "exec", "--kernel", kernel, "--cpus", "1", "--timeout", "2m", "--append", "panic_on_warn=1", "--serial", filepath.Join(t.TempDir(), "console"), "--",
			"sh", "-c", repeated, "sh", program(t))
		if !p.ended(3 * time.Minute) {
			t.Errorf("%s: it did not end: %s", kernel, p)
			continue
		}
		var again int
		if m := duplicates.FindStringSubmatch(p.stdout.String()); m != nil {
			again, _ = strconv.Atoi(m[1])
		}
		switch said := p.stderr.String(); {
		case p.code() == exitOther && kernel == "5.10" && (strings.Contains(said, "NULL pointer dereference") || strings.Contains(said, "panic_on_warn")):
			fmt.Printf("%s dies of an atomic operation that is asked for twice\n", kernel)
		case p.code() == 0 && again > 0:
			fmt.Printf("%s answers %d atomic operations twice and goes on\n", kernel, again)
			if kernel == "5.10" {
				fmt.Println("docs/findings/rxe-atomic.md can say so")
			}
		default:
			t.Errorf("%s, %d requests that came twice: %s", kernel, again, p)
		}
	}
}
