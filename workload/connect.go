package workload

import (
	"umemstress/rdma"
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
)

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
