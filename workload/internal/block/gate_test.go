package block

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTarget(t *testing.T) {
	var r request
	if err := r.setTarget("linear", 8192, linearParameters(unix.Mkdev(7, 300))); err != nil {
		t.Fatal(err)
	}
	if got := unix.ByteSliceToString(r.Target[unix.SizeofDmTargetSpec:]); got != "7:300 0" {
		t.Errorf("parameters %q", got)
	}
	if got := unix.ByteSliceToString(r.Target[24:40]); got != "linear" {
		t.Errorf("type %q at offset 24 of struct dm_target_spec", got)
	}
	if err := r.setTarget("linear", 1, strings.Repeat("x", 500)); err == nil {
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
