//go:build guest

package rdma

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// perftestLimit is for a program that does not end, as one of 5.10 was seen to.
const perftestLimit = 2 * time.Minute

// perftestBandwidth is the average that a program of perftest prints, in MiB/s: by its rate of messages, in millions, which
// has six digits behind the point where the bandwidth has two.
func perftestBandwidth(b *testing.B, program string, t traffic) float64 {
	// Bytes, iterations, peak and average bandwidth, message rate.
	rate := perftest(b, program, t.size, t.each, fmt.Sprintf(`(?m)^\s*%d\s+\d+\s+\S+\s+\S+\s+(\S+)`, t.size),
		"-q", fmt.Sprint(t.pairs), "-t", fmt.Sprint(benchDepth))
	return rate * 1e6 * float64(t.size) / (1 << 20)
}

// perftest runs a program of perftest as server and client, and takes a figure out of what the latter prints.
func perftest(b *testing.B, program string, size, count int, figure string, more ...string) float64 {
	b.Helper()
	d, err := FindDevice("/sys", "")
	if err != nil {
		b.Fatal(err)
	}
	gid, err := chooseGID(d, 1, AutoGID)
	if err != nil {
		b.Fatal(err)
	}
	args := append([]string{"-d", d.Name, "-x", fmt.Sprint(gid.Index), "-F", "-s", fmt.Sprint(size), "-n", fmt.Sprint(count)}, more...)
	ctx, cancel := context.WithTimeout(b.Context(), perftestLimit)
	defer cancel()
	server := exec.CommandContext(ctx, program, args...)
	if err := server.Start(); err != nil {
		b.Fatalf("%v (apt-get install perftest)", err)
	}
	awaitPerftest(b)
	out, err := exec.CommandContext(ctx, program, append(args, "127.0.0.1")...).CombinedOutput()
	if err != nil {
		_ = server.Process.Kill()
		_ = server.Wait()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			b.Skipf("%s had not ended after %v, so that there is nothing to compare with", program, perftestLimit)
		}
		b.Fatalf("%s: %v\n%s", program, err, out)
	}
	if err := server.Wait(); err != nil {
		b.Fatalf("server of %s: %v", program, err)
	}
	row := regexp.MustCompile(figure).FindSubmatch(out)
	if row == nil {
		b.Fatalf("no result of %s:\n%s", program, out)
	}
	value, err := strconv.ParseFloat(string(row[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// awaitPerftest waits until its server listens, which it does not say: at its port, 18515, of any address.
func awaitPerftest(b *testing.B) {
	b.Helper()
	listens := []byte(":4853 00000000:0000 0A")
	listens6 := []byte(":4853 00000000000000000000000000000000:0000 0A")
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			sockets, err := os.ReadFile(name)
			if err == nil && (bytes.Contains(sockets, listens) || bytes.Contains(sockets, listens6)) {
				return
			}
		}
	}
	b.Fatal("the server of perftest does not listen at port 18515")
}
