package holder

import "sync/atomic"

// Progress counts what has been sent so far, for who looks meanwhile.
type Progress struct{ operations, bytes atomic.Uint64 }

// Add counts operations of so many bytes in all. Without anybody who looks it does nothing.
func (p *Progress) Add(operations int, bytes uint64) {
	if p != nil {
		p.operations.Add(uint64(operations))
		p.bytes.Add(bytes)
	}
}

// Sent is all that was counted.
func (p *Progress) Sent() (operations, bytes uint64) { return p.operations.Load(), p.bytes.Load() }
