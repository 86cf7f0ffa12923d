package evidence

import (
	"context"
	"errors"
	"fmt"
	"os"

	"umemstress/probes/kmsg"
	"umemstress/workload/record"
)

// compareLog says where the kernel's log in dir has less than the record counted of it. It
// may have more: the log goes on while the run is taken down.
func compareLog(ctx context.Context, dir string, r *record.Record) (differences []string, err error) {
	counted := r.Channels.Kmsg
	counter := kmsg.Counter{Device: r.File.Device}
	whole, err := readLines(ctx, dir, kmsgFile, func(_ int, line []byte) error {
		counter.Add(kmsg.Classify(string(line)))
		return nil
	})
	switch {
	case errors.Is(err, os.ErrNotExist):
		return []string{fmt.Sprintf("%s is missing, and channel kmsg is %s", kmsgFile, counted.State)}, nil
	case err != nil:
		return nil, err
	}
	if !whole {
		differences = append(differences, fmt.Sprintf("the last line of %s was cut off", kmsgFile))
	}
	if n := counter.Counts.BufferlessPages; n < counted.BufferlessPages {
		differences = append(differences, fmt.Sprintf("%s holds %d messages of pages without buffers, and the record counted %d", kmsgFile, n, counted.BufferlessPages))
	}
	return differences, nil
}
