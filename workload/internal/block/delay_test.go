package block

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTarget(t *testing.T) {
	var r request
	if err := r.setTarget("delay", 8192, delayParameters(unix.Mkdev(7, 300), 90*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := r.status(); got != "7:300 0 90000" {
		t.Errorf("parameters %q", got)
	}
	if got := unix.ByteSliceToString(r.Target[24:40]); got != "delay" {
		t.Errorf("type %q at offset 24 of struct dm_target_spec", got)
	}
	if err := r.setTarget("delay", 1, strings.Repeat("x", 500)); err == nil {
		t.Error("parameters longer than their room were accepted")
	}
}

// Nobody is told to be what he is, or to load what is there.
func TestMapperRemedy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		uid  int
		want string
	}{{os.ErrNotExist, 0, "modprobe"}, {os.ErrNotExist, 1000, "modprobe"}, {os.ErrPermission, 1000, "run as root"}, {os.ErrPermission, 0, "container"}} {
		if got := mapperRemedy(tt.err, tt.uid); !strings.Contains(got, tt.want) {
			t.Errorf("%v as %d: %s", tt.err, tt.uid, got)
		}
	}
}
