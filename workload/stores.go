package workload

import (
	"context"
	"time"
)

// storeThrough copies the source onto the target with the CPU, through the
// mapping, so that the file system is told of every page. It is the first write
// of a holder that moves each byte only once. It counts an operation for each storeBytes.
func storeThrough(ctx context.Context, source, target *region, storeBytes int) (Traffic, error) {
	started := time.Now()
	var done Traffic
	p := pass{Size: storeBytes, Target: int64(len(target.mem)), Source: int64(len(source.mem))}
	for m := range p.Messages() {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		copy(target.mem[m.To:m.To+int64(m.Length)], source.mem[m.From:])
		done.Operations++
		done.Bytes += uint64(m.Length)
	}
	done.Seconds = time.Since(started).Seconds()
	return done, nil
}
