//go:build guest

package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// timedRun runs the command with an evidence directory of its own, and says how
// it ended and after which time, the start of the process included.
func timedRun(b *testing.B, args ...string) (seconds float64, code int, output string) {
	b.Helper()
	cmd := command(append(args, "-o", filepath.Join(b.TempDir(), "evidence"))...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	// Its exit code says what Wait would.
	_ = cmd.Wait()
	return time.Since(start).Seconds(), cmd.ProcessState.ExitCode(), out.String()
}

// BenchmarkRun16M is the time from the start of a run to its verdict, with the
// device up:
//
//	umemstress lab exec -- /tmp/cmd.test -test.run '^$' -test.bench Run16M -test.benchtime 5x
func BenchmarkRun16M(b *testing.B) {
	var times []float64
	for b.Loop() {
		seconds, code, output := timedRun(b, "run", "--file-size", "16M", "--anon-size", "16M", "--observe", "require")
		if !slices.Contains([]int{exit.Clean, record.DataLost.ExitCode()}, code) {
			b.Fatalf("exit code %d: %s", code, output)
		}
		times = append(times, seconds)
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(times[0], "s-fastest")
	b.ReportMetric(times[len(times)/2], "s-median")
	b.ReportMetric(times[len(times)-1], "s-slowest")
}

// BenchmarkTwentyRuns counts how many of its runs end in data-lost, on a kernel that
// loses data; one that does not is a failure:
//
//	umemstress lab exec --kernel 5.10 -- /tmp/cmd.test -test.run '^$' -test.bench TwentyRuns -test.benchtime 20x
func BenchmarkTwentyRuns(b *testing.B) {
	runs, lost := 0, 0
	for b.Loop() {
		runs++
		_, code, output := timedRun(b, small()...)
		if code == record.DataLost.ExitCode() {
			lost++
		} else {
			b.Errorf("run %d: exit code %d: %s", runs, code, output)
		}
	}
	b.ReportMetric(float64(lost), fmt.Sprintf("data-lost-of-%d", runs))
}
