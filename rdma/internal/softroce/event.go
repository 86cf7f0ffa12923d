package softroce

import "umemstress/rdma/internal/verbs"

// NextEvent names the port or the queue pair that an event is of.
func (b *backend) NextEvent() (verbs.Event, bool) {
	told, ok := b.file.NextEvent()
	if !ok {
		return verbs.Event{}, false
	}
	e := verbs.Event{Type: verbs.EventType(told.EventType)}
	switch {
	case e.Type.OfPort():
		e.Port = uint8(told.Element)
	case e.Type.OfQP():
		b.mu.Lock()
		defer b.mu.Unlock()
		e.QPN = b.pairs[told.Element]
	}
	return e, true
}

// name is how the kernel is to name the next queue pair in events: whose number is not known yet.
func (b *backend) name() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.named++
	return b.named
}

// called notes the number of a queue pair that has a name.
func (b *backend) called(name uint64, number uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs[name] = number
}

func (b *backend) forget(name uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pairs, name)
}
