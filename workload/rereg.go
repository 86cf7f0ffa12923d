package workload

import (
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
)

// validateRereg refuses what no region can be re-registered for.
func (o Options) validateRereg() error {
	if o.Rereg == "" {
		return nil
	}
	if err := oneOf("rereg", o.Rereg, umem.Reregs()); err != nil {
		return err
	}
	switch {
	case o.Scenario.Holder != "rdma":
		return fault.Usagef("--rereg %s: the holder %s has no memory regions; give --holder rdma", o.Rereg, o.Scenario.Holder)
	case o.OnDemand:
		return fault.Usagef("--rereg %s: with --odp nothing is pinned; leave one of the two out", o.Rereg)
	case o.Windows:
		return fault.Usagef("--rereg %s: with --mw a window is bound to each region, which keeps it as it is; leave one of the two out", o.Rereg)
	case o.Rereg == umem.ReregAccess && o.Access == AccessRead:
		return fault.Usagef("--rereg %s: with --access read the region is not to have more; leave one of the two out", o.Rereg)
	case o.Rereg == umem.ReregMemory && (o.Release == umem.ReleaseExit || o.Release == umem.ReleaseKill):
		return fault.Usagef("--rereg %s: with --release %s the process that has the region has it mapped no more; leave one of the two out", o.Rereg, o.Release)
	}
	return nil
}
