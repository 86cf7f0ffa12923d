package workload

import (
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
)

// slowestMessage is how long a message may take by --rate-limit, in seconds: who waits for it gives up after more.
const slowestMessage = 10

// validateMessages refuses messages that no queue pair has.
func (o Options) validateMessages() error {
	rdma := o.Scenario.Holder == "rdma"
	switch {
	case o.Pieces < 1 || o.Pieces > umem.MaxPieces:
		return fault.Usagef("--sge %d: give from 1 to %d pieces of memory of a message", o.Pieces, umem.MaxPieces)
	case o.Pieces > 1 && !rdma:
		return fault.Usagef("--sge %d: the holder %s has no queue pairs; give --holder rdma", o.Pieces, o.Scenario.Holder)
	case o.Pieces > 1 && umem.Atomic(o.Verb):
		return fault.Usagef("--sge %d: --verb %s changes a number, which is one piece; leave it out", o.Pieces, o.Verb)
	case o.Inline < 0 || o.Inline > umem.MaxInline:
		return fault.Usagef("--inline %d: give from 0 to %d bytes", o.Inline, umem.MaxInline)
	case o.Inline > 0 && !rdma:
		return fault.Usagef("--inline %d: the holder %s has no queue pairs; give --holder rdma", o.Inline, o.Scenario.Holder)
	case o.Inline > 0 && !umem.Sends(o.Verb):
		return fault.Usagef("--inline %d: what --verb %s brings is asked for, and not sent; give another verb", o.Inline, o.Verb)
	case o.Inline > 0 && o.Inline < o.MessageBytes:
		return fault.Usagef("--inline %d: messages have %d bytes, which go the usual way; give a --size of at most %d", o.Inline, o.MessageBytes, o.Inline)
	case o.RateLimit < 0:
		return fault.Usagef("--rate-limit %d: give bytes a second", o.RateLimit)
	case o.RateLimit > 0 && !rdma:
		return fault.Usagef("--rate-limit %d: the holder %s has no queue pairs; give --holder rdma", o.RateLimit, o.Scenario.Holder)
	case o.RateLimit > 0 && o.RateLimit < int64(o.MessageBytes)/slowestMessage:
		return fault.Usagef("--rate-limit %d: a message of %d bytes would take more than %d s; give at least %d, or a smaller --size", o.RateLimit, o.MessageBytes, slowestMessage, (o.MessageBytes+slowestMessage-1)/slowestMessage)
	}
	return nil
}
