package workload

import (
	"context"
	"time"
)

// onePass refuses the options that repeat the traffic, for a holder that brings
// each byte once.
func onePass(o Options) error {
	const bringsOnce = "the holder %s brings each byte once, and cannot repeat its traffic; give --iters 0 --duration 0 --bidirectional=false"
	if o.Iterations > 0 || o.Duration > 0 || o.Bidirectional {
		return usagef(bringsOnce, o.Scenario.Holder)
	}
	return nil
}

// storeThrough copies the source onto the target with the CPU, through the
// mapping, so that the file system is told of every page. It is the first write
// of a holder that moves each byte only once.
func storeThrough(ctx context.Context, source, target *region, messageBytes int) (Traffic, error) {
	started := time.Now()
	var done Traffic
	p := pass{size: messageBytes, target: int64(len(target.mem)), source: int64(len(source.mem))}
	for m := range p.messages() {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		copy(target.mem[m.to:m.to+int64(m.length)], source.mem[m.from:])
		done.Operations++
		done.Bytes += uint64(m.length)
	}
	done.Seconds = time.Since(started).Seconds()
	return done, nil
}
