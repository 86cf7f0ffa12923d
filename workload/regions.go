package workload

import (
	"umemstress/workload/holder/umem"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// validateHugePages refuses a region that no huge pages make.
func (o Options) validateHugePages() error {
	switch {
	case o.HugePages == 0:
		return nil
	case o.HugePages != memory.Huge2M && o.HugePages != memory.Huge1G:
		return fault.Usagef("--use_hugepages=%d: there are huge pages of 2M and of 1G", o.HugePages)
	case o.Scenario.Holder != "rdma":
		return fault.Usagef("--use_hugepages: the holder %s reads from elsewhere; give --holder rdma", o.Scenario.Holder)
	case o.AnonBytes%o.HugePages != 0:
		return fault.Usagef("--anon-size %d: give a multiple of %d with --use_hugepages", o.AnonBytes, o.HugePages)
	}
	return nil
}

// mapAnonymous maps the anonymous region.
func (o Options) mapAnonymous() (*memory.Region, error) {
	if o.HugePages != 0 {
		return memory.MapHuge(int(o.AnonBytes), o.HugePages)
	}
	return memory.MapAnonymous(int(o.AnonBytes))
}

// validateWindows refuses memory windows that nobody reaches anything through.
func (o Options) validateWindows() error {
	switch {
	case o.Windows == 0:
		return nil
	case o.Windows < 1 || o.Windows > 2:
		return fault.Usagef("--mw=%d: there are memory windows of type 1 and 2", o.Windows)
	case o.Scenario.Holder != "rdma":
		return fault.Usagef("--mw: the holder %s has no memory regions; give --holder rdma", o.Scenario.Holder)
	case !umem.Keyed(o.Verb):
		return fault.Usagef("--mw: --verb %s asks for no key to the file's region; give write, write-imm, cas or fadd", o.Verb)
	case o.Access == AccessRead:
		return fault.Usagef("--mw: with --access read nobody sends into the file's region; leave one of the two out")
	case o.Windows == 2 && o.QueuePairs > 1:
		return fault.Usagef("--mw=2: a window of type 2 gives access through one queue pair; give --qp 1, or --mw=1")
	}
	return nil
}

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
	case o.Windows != 0:
		return fault.Usagef("--rereg %s: with --mw a window is bound to each region, which keeps it as it is; leave one of the two out", o.Rereg)
	case o.Rereg == umem.ReregAccess && o.Access == AccessRead:
		return fault.Usagef("--rereg %s: with --access read the region is not to have more; leave one of the two out", o.Rereg)
	case o.Rereg == umem.ReregMemory && (o.Release == umem.ReleaseExit || o.Release == umem.ReleaseKill):
		return fault.Usagef("--rereg %s: with --release %s the process that has the region has it mapped no more; leave one of the two out", o.Rereg, o.Release)
	}
	return nil
}
