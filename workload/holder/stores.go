package holder

import (
	"context"
	"time"

	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// StoreThrough copies the source onto the target with the CPU, through the
// mapping, so that the file system is told of every page. It is the first write
// of a holder that moves each byte only once. It counts an operation for each storeBytes.
func StoreThrough(ctx context.Context, source, target *memory.Region, storeBytes int) (record.Traffic, error) {
	started := time.Now()
	var done record.Traffic
	p := Pass{Size: storeBytes, Target: int64(len(target.Bytes)), Source: int64(len(source.Bytes))}
	for m := range p.Messages() {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		copy(target.Bytes[m.To:m.To+int64(m.Length)], source.Bytes[m.From:])
		done.Operations++
		done.Bytes += uint64(m.Length)
	}
	done.Seconds = time.Since(started).Seconds()
	return done, nil
}
