//go:build lab

package lab

import (
	"strings"
	"testing"
	"time"
)

// Two guests reach each other over their network, each as a host of its own, and the programs by
// PeerCommand. The second guest ends with the first one's program.
func TestRunPair(t *testing.T) {
	first, stdout, stderr := shell(t, `
echo "from $(hostname)" | (`+PeerCommand+`) & talk=$!
echo "tcp $(bash -c '</dev/tcp/10.77.0.2/9' 2>&1 | grep -o refused)" # by the other one: nothing listens there
echo "gid $(cat /sys/class/infiniband/rxe0/ports/1/gids/1)"
echo mtu $(cat /sys/class/net/eth0/mtu)
wait $talk
exit 7`)
	second, _, secondStderr := shell(t, `read line; echo "$line to $(hostname)"; exec sleep 600`)
	began := time.Now()
	// The first one's answer is there before it ends its input: its program has to hear it.
	first.Program[2] = strings.Replace(first.Program[2], `echo "from $(hostname)" |`, `(echo "from $(hostname)"; sleep 5) |`, 1)
	result, err := RunPair(t.Context(), first, second)
	if err != nil || result.ExitCode != 7 {
		t.Fatalf("%+v, %v; %s; %s", result, err, stderr, secondStderr)
	}
	for _, want := range []string{"from host1 to host2", "tcp refused", "gid 0000:0000:0000:0000:0000:ffff:0a4d:0001", "mtu 9000"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in %q; %s", want, stdout, stderr)
		}
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("took %v", took)
	}
}

// A second guest that cannot be started ends the first one, and is the error.
func TestRunPairWithoutSecond(t *testing.T) {
	first, _, _ := shell(t, "sleep 600")
	second, _, _ := shell(t, "true")
	second.Dir = "/nosuchdirectory"
	_, err := RunPair(t.Context(), first, second)
	if err == nil || !strings.Contains(err.Error(), "the second guest: ") || !strings.Contains(err.Error(), "nosuchdirectory") {
		t.Errorf("%v", err)
	}
}
