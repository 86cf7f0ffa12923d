package matrix

import (
	"bytes"
	"testing"

	"umemstress/soft-roce/lab/machine"
)

func TestMatrixText(t *testing.T) {
	result := &Result{
		Seconds: 61, Jobs: 1, Repeat: 1, Host: Host{Accel: machine.TCG, CPUs: 2}, Differences: 1,
		Guests: []GuestRecord{{Kernel: "6.1", Serial: "6.1/serial-1.1.log", Trouble: "it hung"}},
		Cells: []Cell{
			{Kernel: "5.10", Release: "5.10.0-46-amd64", Scenario: "rdma/ext4/pageout/none", Expected: "data-lost", Repetition: Repetition{Got: "data-lost"}},
			{
				Kernel: "6.1", Release: "6.1.0-56-amd64", Scenario: "rdma/ext4/pageout/none", Expected: "clean", Repetition: Repetition{Got: "timeout"},
				Difference: true, Differences: []string{"expected clean, got timeout: the guest hung"},
			},
			{Kernel: "6.1", Release: "6.1.0-56-amd64", Scenario: "a/b/c/d", Repetition: Repetition{Got: "clean"}},
		},
	}
	var out bytes.Buffer
	if err := result.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `scenario                  5.10               6.1
                          5.10.0-46-amd64    6.1.0-56-amd64
rdma/ext4/pageout/none    data-lost        ! timeout
a/b/c/d                   -                ? clean

! not as expected:
  6.1 rdma/ext4/pageout/none: expected clean, got timeout: the guest hung
a guest with 6.1 ended before its time: it hung (6.1/serial-1.1.log)
1 of 2 cells as expected, 1 explored; 1m1s, 1 guest at a time, tcg on 2 CPUs
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
