package main

import (
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/pflag"

	"umemstress/workload"
)

func parseRunFlags(t *testing.T, args ...string) (workload.Options, error) {
	t.Helper()
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	var f runFlags
	f.register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.options()
}

// A flag changes what the preset says, and only that.
func TestFlagsOverPreset(t *testing.T) {
	o, err := parseRunFlags(t, "--preset", "customer", "-s", "4096", "--file-size", "8M", "-D", "5")
	if err != nil {
		t.Fatal(err)
	}
	want, err := workload.Preset("customer")
	if err != nil {
		t.Fatal(err)
	}
	if o.Scenario != want.Scenario || !o.Bidirectional || o.AnonBytes != want.AnonBytes {
		t.Errorf("the preset's own: %+v", o)
	}
	if o.MessageBytes != 4096 || o.FileBytes != 8<<20 || o.FitFile || o.Duration != 5*time.Second {
		t.Errorf("the flags: %+v", o)
	}
	o, err = parseRunFlags(t, "--scenario", "rdma/xfs/none/reflink")
	if err != nil || o.Scenario.String() != "rdma/xfs/none/reflink" || !o.FitFile {
		t.Errorf("%s, %v; fit %v", o.Scenario, err, o.FitFile)
	}
}

func TestFlagsExclude(t *testing.T) {
	for args, want := range map[string]string{
		"--scenario rdma/ext4/none/none --fs xfs": "--scenario names it already",
		"--preset everything --strip none":        "goes through all scenarios",
		"--preset everything --file x":            "goes through all scenarios",
		"--preset everything --scenario x":        "goes through all scenarios",
		"--preset everything -D 5":                "not every one can repeat",
		"--preset everything -b":                  "not every one can repeat",
		"--file-size 1T":                          `--file-size "1T": give a size`,
		"--anon-size -1":                          `--anon-size "-1": give a size`,
		"--preset slow":                           "choose quick",
		"--scenario rdma/ext4/none/reflink":       "makes no sense",
	} {
		_, err := parseRunFlags(t, strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) || exit.Code(err) != exit.Usage {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// Datagrams have no more than the bytes of a packet, and their name is taken in small letters.
func TestDatagramFlags(t *testing.T) {
	for want, args := range map[int][]string{1024: {}, 2048: {"--mtu", "2048"}, 100: {"--size", "100", "--preset", "customer"}} {
		o, err := parseRunFlags(t, append([]string{"-c", "ud", "--verb", "send"}, args...)...)
		if err != nil || o.Connection != "UD" || o.MessageBytes != want || o.Validate() != nil {
			t.Errorf("%q: messages of %d bytes over %s, %v, %v", args, o.MessageBytes, o.Connection, err, o.Validate())
		}
	}
}

// A peer that does a run makes of the flags what the host does that starts it, but for what is each host's own.
func TestPeerFlags(t *testing.T) {
	args := []string{"--preset", "customer", "-q", "3", "-d", "mlx5_0", "-i", "2", "-o", "out", "--file-size", "8M", "-b=false", "--peer", "ssh node2", "--victim", "remote", "--allow-crash", "--observe", "off"}
	here, err := parseRunFlags(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	var f runFlags
	f.register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	there, err := preparePeer(f.forPeer())
	if err != nil {
		t.Fatal(err)
	}
	if there.Device != "" || there.Output != "" || there.Peer != "" || there.Victim != workload.VictimLocal || there.Port != 1 {
		t.Errorf("it has the other host's: %+v", there)
	}
	if there.Scenario != here.Scenario || there.QueuePairs != 3 || there.FileBytes != 8<<20 || there.Bidirectional || there.Duration != here.Duration || !there.AllowCrash || there.Observe != workload.ObserveOff {
		t.Errorf("%+v, want %+v", there, here)
	}
	for _, flag := range notForPeers() {
		if flag == "report_gbits" || flag == "perftest" {
			continue // of no value
		}
		if _, err := preparePeer([]string{"--" + flag + "=1"}); exit.Code(err) != exit.Usage {
			t.Errorf("--%s for a peer: %v", flag, err)
		}
	}
	if _, err := preparePeer([]string{"--holder", "dio"}); exit.Code(err) != exit.Usage {
		t.Errorf("another holder for a peer: %v", err)
	}
}

// Whatever flags a peer is told, it has options that can be run, or says that they are wrong.
func FuzzPeerFlags(f *testing.F) {
	for _, seed := range []string{"", "--qp=2\n--verb=fadd", "--preset=everything", "--output=/etc", "--\n--peer=x", "--duration=-1\n--seed=x", "-vvv", "--help"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, flags string) {
		o, err := preparePeer(strings.Split(flags, "\n"))
		if err != nil {
			return
		}
		if err := o.Validate(); err != nil || o.Output != "" || o.Peer != "" || o.Victim != workload.VictimLocal || o.Scenario.Holder != "rdma" {
			t.Errorf("%q: %v, %+v", flags, err, o)
		}
	})
}
