package holder

import "time"

// StopRule says when a write phase has sent enough, of a holder that can repeat its traffic.
type StopRule struct {
	Messages    int             // at least so many; 0: one pass
	Until       time.Time       // not before; zero: does not matter
	UntilClosed <-chan struct{} // not before it is closed; nil: does not matter
}

// Enough is asked after each message that ends a pass, and after each message
// once one pass is complete when a number of messages is given.
func (s StopRule) Enough(sent, perPass int, now func() time.Time) bool {
	if sent < perPass || sent < s.Messages {
		return false
	}
	if s.Messages > 0 || s.Until.IsZero() && s.UntilClosed == nil {
		return true
	}
	return sent%perPass == 0 && !now().Before(s.Until) && s.isClosed()
}

func (s StopRule) isClosed() bool {
	if s.UntilClosed == nil {
		return true
	}
	select {
	case <-s.UntilClosed:
		return true
	default:
		return false
	}
}
