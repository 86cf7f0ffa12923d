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
	if o.MessageBytes != 4096 || o.FileBytes != 8<<20 || o.Duration != 5*time.Second {
		t.Errorf("the flags: %+v", o)
	}
	o, err = parseRunFlags(t, "--scenario", "rdma/xfs/none/reflink")
	if err != nil || o.Scenario.String() != "rdma/xfs/none/reflink" {
		t.Errorf("%s, %v", o.Scenario, err)
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
