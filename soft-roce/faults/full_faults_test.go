//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// onSmall starts a command line with a small file system mounted on a directory, in a mount
// namespace that goes with it. Where kernels is not empty, it is linked to as "kernels".
func onSmall(t *testing.T, size, dir, kernels string, env []string, line ...string) *process {
	t.Helper()
	words := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		words = append(words, "--map-root-user")
	}
	const script = `mount -t tmpfs -o size="$1" small "$2" && { [ -z "$3" ] || ln -s "$3" "$2/kernels"; } || exit 99
shift 3; exec "$@"`
	words = append(words, "sh", "-c", script, "sh", size, dir, kernels)
	return start(t, env, append(words, line...)...)
}

// full is a command that writes more than there is room for.
type full struct {
	what    string
	size    string
	dir     string // which is small
	kernels string
	line    []string
	codes   []int
	says    string
	limit   time.Duration
}

// Where the space ends, the command ends soon, says so in a sentence, and leaves nobody
// running.
func TestFullDisks(t *testing.T) {
	umemstress := program(t)
	cache, work := t.TempDir(), t.TempDir()
	makeDir(t, filepath.Join(cache, "umemstress"))
	state := filepath.Join(cache, "umemstress")
	var cases []full
	for _, size := range []string{"1M", "40M", "200M"} {
		cases = append(cases, full{"a fetch", size, state, "", []string{"lab", "kernels", "--fetch", kernelName}, []int{1, 3}, "space", 2 * time.Minute})
	}
	guest := []string{"lab", "exec", "--kernel", kernelName, "--timeout", "60s", "--no-device", "--"}
	run := []string{"--scenario", "vmwritev/tmpfs/none/none", "--observe", "off", "--file-size", "1M", "--anon-size", "1M"}
	cases = append(cases,
		full{"a guest's disk that cannot be made", "1M", state, store(t), append(guest, "true"), []int{1, 21}, "space", time.Minute},
		full{"a guest's disk that fills up", "40M", state, store(t), append(guest, "sh", "-c", `dd if=/dev/zero of="$TMPDIR/x" bs=1M count=200 conv=fsync 2>/dev/null || exit 77`), []int{77}, "", 45 * time.Second},
		full{"evidence of a guest", "16K", work, "", append([]string{"lab", "run", "--kernel", kernelName, "--timeout", "60s", "--", "-o", filepath.Join(work, "evidence")}, run...), []int{1, 21}, "space", 90 * time.Second},
		full{"a matrix", "16K", work, "", []string{"lab", "matrix", "--kernels", kernelName, "--explore", "vmwritev/tmpfs/none/none", "--jobs", "1", "--output", filepath.Join(work, "matrix")}, []int{1}, "space", 2 * time.Minute},
	)
	for _, c := range cases {
		family := family()
		env := []string{"UMEMSTRESS_KERNEL_DIR=", marker + "=" + family}
		if c.dir == state {
			env = append(env, "XDG_CACHE_HOME="+cache)
		}
		p := onSmall(t, c.size, c.dir, c.kernels, env, append([]string{umemstress}, c.line...)...)
		var wrong string
		switch {
		case !p.ended(c.limit):
			wrong = fmt.Sprintf("it was not at its end after %s", c.limit)
		case crash(p.stderr.String()) != "":
			wrong = "it died of itself"
		case !slices.Contains(c.codes, p.code()):
			wrong = fmt.Sprintf("exit code %d, not of %d", p.code(), c.codes)
		case !strings.Contains(p.stderr.String(), c.says):
			wrong = fmt.Sprintf("it does not say %q", c.says)
		case c.says != "":
			wrong = wrongSentence(p.stderr.String())
		}
		if wrong != "" {
			t.Errorf("%s in %s: %s: %s", c.what, c.size, wrong, p)
		}
		if found := left(family); len(found) > 0 {
			t.Errorf("%s in %s: left running: %q", c.what, c.size, found)
			end(family)
		}
	}
	fmt.Printf("%d commands on full disks of the host\n", len(cases))
}
