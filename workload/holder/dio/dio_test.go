package dio

import (
	"testing"

	"umemstress/workload/internal/worktest"
)

// More than a thread a call allows is refused.
func TestDIOBound(t *testing.T) {
	_, err := Open(t.Context(), Config{TargetBytes: 4097 << 20})
	worktest.WantUsage(t, err, "give at most 4096 MiB")
}

func TestDIOSourceRefused(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"/dev/null":     "--dio-source /dev/null: ",
		dir + "/absent": "no such file or directory; name a block device or a file",
		dir:             "it is neither a block device nor a file",
	} {
		_, err := Open(t.Context(), Config{TargetBytes: 4096, SourceBytes: 4096, Source: path})
		worktest.WantUsage(t, err, want)
	}
}

// The size that is advised is one that is accepted.
func TestDIOSourceTooSmall(t *testing.T) {
	worktest.WantUsage(t, suffices("disk", 4096+1024, 8192), "it has 5120 bytes and the reads take 8192; give --anon-size 4096 or a larger device")
	worktest.WantUsage(t, suffices("disk", 1024, 8192), "it has 1024 bytes, less than a page, and the reads take 8192; name a larger one")
	if err := suffices("disk", 8192, 8192); err != nil {
		t.Error(err)
	}
}
