package workload

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"umemstress/rdma"
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
)

const (
	maxMTU   = 4096 // bytes
	usualMTU = 1024 // of a port of Ethernet, whose packets have 1,500
)

// IsDatagrams says whether messages over a connection have at most the bytes of a packet.
func IsDatagrams(connection string) bool { return umem.Datagrams(connection) }

// DatagramBytes is how many a message has where nobody says otherwise, over packets of so many: 0 where the port chooses.
func DatagramBytes(mtu int) int { return cmp.Or(mtu, usualMTU) }

// slowestMessage is how long a message may take by --rate-limit, in seconds: who waits for it gives up after more.
const slowestMessage = 10

// validateMessages refuses messages that no queue pair has.
func (o Options) validateMessages() error {
	rdma := o.Scenario.Holder == "rdma"
	switch {
	case o.Connection != umem.ConnectionRC && !rdma:
		return fault.Usagef("--connection %s: the holder %s has no queue pairs; give --holder rdma", o.Connection, o.Scenario.Holder)
	case !umem.Carries(o.Connection, o.Verb):
		return fault.Usagef("--connection %s: it has no --verb %s; choose %s, or give --connection %s", o.Connection, o.Verb, strings.Join(carriedBy(o.Connection), " or "), umem.ConnectionRC)
	case umem.Datagrams(o.Connection) && o.MessageBytes > cmp.Or(o.MTU, maxMTU):
		return fault.Usagef("--size %d: a message over %s has at most the bytes of a packet, %d; give --size %d", o.MessageBytes, o.Connection, cmp.Or(o.MTU, maxMTU), DatagramBytes(o.MTU))
	case umem.Datagrams(o.Connection) && o.Pieces == umem.MaxPieces:
		return fault.Usagef("--sge %d: a datagram that is received has its header in one piece more; give at most %d with --connection %s", o.Pieces, umem.MaxPieces-1, o.Connection)
	// A write that was dropped shows in the bytes alone, and would pass for one that the disk has lost.
	case !umem.Reliable(o.Connection) && !umem.Received(o.Verb) && o.Check == CheckOff:
		return fault.Usagef("--check off: what --connection %s drops of --verb %s is told from a loss by the check alone; leave it out, or give --verb write-imm", o.Connection, o.Verb)
	case o.SRQ && !rdma:
		return fault.Usagef("--srq: the holder %s has no queue pairs; give --holder rdma", o.Scenario.Holder)
	case o.SRQ && !umem.Received(o.Verb):
		return fault.Usagef("--srq: --verb %s takes no receives; give --verb send, send-imm or write-imm", o.Verb)
	case o.Pieces < 1 || o.Pieces > umem.MaxPieces:
		return fault.Usagef("--sge %d: give from 1 to %d pieces of memory of a message", o.Pieces, umem.MaxPieces)
	case o.Pieces > 1 && !rdma:
		return fault.Usagef("--sge %d: the holder %s has no queue pairs; give --holder rdma", o.Pieces, o.Scenario.Holder)
	case o.Pieces > 1 && umem.Atomic(o.Verb):
		return fault.Usagef("--sge %d: --verb %s changes a number, which is one piece; leave it out", o.Pieces, o.Verb)
	case o.Reads < 0 || o.Reads > umem.MaxReads:
		return fault.Usagef("--outs %d: give from 1 to %d reads or atomic operations under way", o.Reads, umem.MaxReads)
	case o.Reads > 0 && !rdma:
		return fault.Usagef("--outs %d: the holder %s has no queue pairs; give --holder rdma", o.Reads, o.Scenario.Holder)
	case o.Reads > 0 && umem.Sends(o.Verb):
		return fault.Usagef("--outs %d: it is of what is asked for, and --verb %s sends; give read, cas or fadd, or leave it out", o.Reads, o.Verb)
	case o.Timeout < 0 || o.Timeout > umem.MaxTimeout:
		return fault.Usagef("--qp-timeout %d: give from 1 (8 µs) to %d (2.4 hours), each twice as long", o.Timeout, umem.MaxTimeout)
	case o.Timeout > 0 && !rdma:
		return fault.Usagef("--qp-timeout %d: the holder %s has no queue pairs; give --holder rdma", o.Timeout, o.Scenario.Holder)
	case o.Timeout > 0 && !umem.Reliable(o.Connection):
		return fault.Usagef("--qp-timeout %d: over %s nobody answers; leave it out, or give --connection %s", o.Timeout, o.Connection, umem.ConnectionRC)
	case o.Inline < 0 || o.Inline > umem.MaxInline:
		return fault.Usagef("--inline %d: give from 0 to %d bytes", o.Inline, umem.MaxInline)
	case o.Inline > 0 && !rdma:
		return fault.Usagef("--inline %d: the holder %s has no queue pairs; give --holder rdma", o.Inline, o.Scenario.Holder)
	case o.Inline > 0 && !umem.Sends(o.Verb):
		return fault.Usagef("--inline %d: what --verb %s brings is asked for, and not sent; give another verb", o.Inline, o.Verb)
	case o.Inline > 0 && o.Inline < o.MessageBytes:
		return fault.Usagef("--inline %d: messages have %d bytes, which go the usual way; give a --size of at most %d", o.Inline, o.MessageBytes, o.Inline)
	case o.Access == AccessRead && !rdma:
		return fault.Usagef("--access read: the holder %s has no memory regions; give --holder rdma", o.Scenario.Holder)
	case o.Access == AccessRead && umem.Atomic(o.Verb):
		return fault.Usagef("--access read: --verb %s brings nothing back from the file; give another verb", o.Verb)
	case o.Access == AccessRead && o.Bidirectional:
		return fault.Usagef("--access read: the device brings every pass back anyway; leave --bidirectional out")
	case o.Access == AccessRead && o.Scenario.Mutation != "none":
		return fault.Usagef("--access read: it shows what a region without write access loses, which a mutation hides; leave --mutation %s out", o.Scenario.Mutation)
	case o.RateLimit < 0:
		return fault.Usagef("--rate-limit %d: give bytes a second", o.RateLimit)
	case o.RateLimit > 0 && !rdma:
		return fault.Usagef("--rate-limit %d: the holder %s has no queue pairs; give --holder rdma", o.RateLimit, o.Scenario.Holder)
	case o.RateLimit > 0 && o.RateLimit < int64(o.MessageBytes)/slowestMessage:
		return fault.Usagef("--rate-limit %d: a message of %d bytes would take more than %d s; give at least %d, or a smaller --size", o.RateLimit, o.MessageBytes, slowestMessage, (o.MessageBytes+slowestMessage-1)/slowestMessage)
	}
	return errors.Join(o.validateWindows(), o.validateHugePages())
}

// carriedBy are the verbs of a connection.
func carriedBy(connection string) []string {
	return slices.DeleteFunc(umem.Verbs(), func(verb string) bool { return !umem.Carries(connection, verb) })
}

// validateManager refuses what the connection manager does not do.
func (o Options) validateManager() error {
	switch {
	case !o.Manager:
		return nil
	case o.Scenario.Holder != "rdma":
		return fault.Usagef("--rdma-cm: the holder %s has no queue pairs; give --holder rdma", o.Scenario.Holder)
	case o.Backend == string(rdma.Uverbs):
		return fault.Usagef("--rdma-cm: the connection manager is a library, which --backend uverbs does without; leave one of the two out")
	case o.Connection != umem.ConnectionRC:
		return fault.Usagef("--rdma-cm: what it connects is reliable; give --connection %s, or leave it out", umem.ConnectionRC)
	case o.ServiceLevel != 0:
		return fault.Usagef("--sl %d: with --rdma-cm the connection manager chooses the service level; leave one of the two out", o.ServiceLevel)
	case o.PKeyIndex != 0:
		return fault.Usagef("--pkey-index %d: with --rdma-cm the partition is that of the netdev; leave one of the two out", o.PKeyIndex)
	}
	return nil
}
