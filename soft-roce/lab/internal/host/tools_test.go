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
