package holder

import "sync/atomic"

// Progress counts what has been sent so far, for who looks meanwhile.
type Progress struct{ operations, bytes atomic.Uint64 }

// Add counts an operation of so many bytes. Without anybody who looks it does nothing.
func (p *Progress) Add(bytes int) {
	if p != nil {
		p.operations.Add(1)
		p.bytes.Add(uint64(bytes))
	}
}

// Sent is all that was counted.
func (p *Progress) Sent() (operations, bytes uint64) { return p.operations.Load(), p.bytes.Load() }
