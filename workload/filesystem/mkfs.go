package filesystem

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// A feature is one that newer versions of an mkfs turn on, and older kernels do not know.
type feature struct {
	named string   // as the program names it, if it knows it
	off   []string // the options that turn it off
}

// make runs the kind's mkfs on the open file, if it has one, and returns what that was. The
// program sees the file as a descriptor of its own, since it has no name.
func (k Kind) make(ctx context.Context, f *os.File, fileBytes int64) (madeBy string, err error) {
	if len(k.mkfs) == 0 {
		return "", nil
	}
	path, err := child.Find(k.mkfs[0])
	if err != nil {
		return "", fault.Lacksf("%s is not installed: apt-get install %s, or give --file PATH", k.mkfs[0], k.pkg)
	}
	version := make(chan string, 1)
	if len(k.version) > 0 {
		go func() { version <- says(ctx, path, k.version) }() // meanwhile
	}
	options := append(slices.Clone(k.mkfs[1:]), k.withoutNew(ctx, path)...)
	if journal := k.journalBytes(fileBytes); journal > 0 {
		options = append(options, "-J", fmt.Sprintf("size=%d", journal>>20))
	}
	cmd := exec.CommandContext(ctx, path, append(options, "/proc/self/fd/3")...)
	cmd.ExtraFiles = []*os.File{f}
	if len(k.env) > 0 {
		cmd.Env = append(os.Environ(), k.env...)
	}
	out, err := cmd.CombinedOutput()
	if len(k.version) == 0 {
		version <- string(out)
	}
	madeBy = firstLine(<-version)
	if err != nil {
		return "", fmt.Errorf("%s on the scratch file: %w: %s", k.mkfs[0], err, bytes.TrimSpace(out))
	}
	return madeBy, nil
}

// withoutNew are the options that keep features off which 5.10 could not mount, as far as
// the program at path knows them.
func (k Kind) withoutNew(ctx context.Context, path string) []string {
	if len(k.newer) == 0 {
		return nil
	}
	known := says(ctx, path, k.features)
	var options []string
	for _, f := range k.newer {
		if strings.Contains(known, f.named) {
			options = append(options, f.off...)
		}
	}
	return options
}

// says is what the program prints, also where it ends with an error, as for want of a device.
func says(ctx context.Context, path string, args []string) string {
	out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput()
	return string(out)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
