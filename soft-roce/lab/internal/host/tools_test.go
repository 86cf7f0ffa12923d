package host

import (
	"errors"
	"strings"
	"testing"
)

func TestMissingToolIsTheHostsLack(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Tool("no-such-tool").Find()
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), "apt-get install --no-install-recommends no-such-tool") {
		t.Errorf("Find = %v", err)
	}
}

// The exit code of a tool is not ours: whoever maps errors to exit codes asks them for
// one.
func TestToolThatFails(t *testing.T) {
	_, err := Shell.Run(t.Context(), "-c", "echo why >&2; exit 100")
	var coded interface{ ExitCode() int }
	if err == nil || err.Error() != "sh: exit status 100: why" || errors.As(err, &coded) {
		t.Errorf("Run = %v, with an exit code: %v", err, coded)
	}
	out, err := Shell.RunAs(t.Context(), Call{Dir: "/"}, "-c", "pwd")
	if err != nil || string(out) != "/\n" {
		t.Errorf("RunAs = %q, %v", out, err)
	}
}
