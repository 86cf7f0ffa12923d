package workload

import "time"

// stopRule says when a write phase has sent enough, of a holder that can repeat its traffic.
type stopRule struct {
	Messages int             // at least so many; 0: one pass
	Until    time.Time       // not before; zero: does not matter
	Told     <-chan struct{} // not before it is closed; nil: does not matter
}

// Enough is asked after each message that ends a pass, and after each message
// once one pass is complete when a number of messages is given.
func (s stopRule) Enough(sent, perPass int, now func() time.Time) bool {
	if sent < perPass || sent < s.Messages {
		return false
	}
	if s.Messages > 0 || s.Until.IsZero() && s.Told == nil {
		return true
	}
	return sent%perPass == 0 && !now().Before(s.Until) && s.wasTold()
}

func (s stopRule) wasTold() bool {
	if s.Told == nil {
		return true
	}
	select {
	case <-s.Told:
		return true
	default:
		return false
	}
}
