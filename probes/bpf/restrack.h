/* What the kernel's own list of RDMA regions has (drivers/infiniband/core/restrack.c): those that
 * were pinned before anybody looked, and the number of each, which 'rdma resource show mr' calls mrn. */
#ifndef UMEMSTRESS_RESTRACK_H
#define UMEMSTRESS_RESTRACK_H

static __always_inline int is_region(struct rdma_restrack_entry *entry)
{
	return bpf_core_type_exists(struct ib_mr) &&
	       BPF_CORE_READ(entry, type) == bpf_core_enum_value(enum rdma_restrack_type, RDMA_RESTRACK_MR);
}

static __always_inline struct ib_mr *region_of(struct rdma_restrack_entry *entry)
{
	return (void *)entry - bpf_core_field_offset(struct ib_mr, res);
}

/* int rdma_restrack_get(struct rdma_restrack_entry *): of each region while somebody asks for
 * the list of them (RDMA_NLDEV_CMD_RES_MR_GET), which itself does not say where they are. The
 * address is that of the region to the device, and in its owner's memory unless it was
 * registered with another one (IBV_ACCESS_ZERO_BASED, ibv_reg_mr_iova). */
SEC("kprobe")
int listed_kprobe(struct pt_regs *ctx)
{
	struct rdma_restrack_entry *entry = (void *)PT_REGS_PARM1(ctx);
	struct pin_event *told;
	struct task_struct *task;
	struct ib_mr *mr;

	if (!listing)
		return 0;
	if (!is_region(entry))
		return 0;
	task = BPF_CORE_READ(entry, task);
	if (!task)
		return 0;
	mr = region_of(entry);
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told) {
		__sync_fetch_and_add(&lost_events, 1);
		return 0;
	}
	__builtin_memset(told, 0, sizeof(*told));
	told->event.time_ns = bpf_ktime_get_ns();
	told->event.kind = KIND_PINNED;
	told->event.holder = HOLDER_UMEM;
	told->event.state = RELEASE_UNSEEN | REGION_NUMBERED;
	told->event.stack = NO_STACK;
	told->event.owner = BPF_CORE_READ(task, tgid);
	told->event.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_INTO(&told->event.owner_comm, task, group_leader, comm);
	told->event.pid = told->event.tid = told->event.owner; /* by whose call, nobody knows any more */
	__builtin_memcpy(told->event.comm, told->event.owner_comm, sizeof(told->event.comm));
	told->region.address = BPF_CORE_READ(mr, iova);
	told->region.length = BPF_CORE_READ(mr, length);
	told->region.number = BPF_CORE_READ(entry, id);
	bpf_probe_read_kernel_str(told->region.rdma, RDMA_NAME, BPF_CORE_READ(mr, device)->name);
	if (passes(&told->event))
		bpf_ringbuf_submit(told, 0);
	else
		bpf_ringbuf_discard(told, 0);
	return 0;
}

/* void rdma_restrack_add(struct rdma_restrack_entry *) gives an object its number. That of a region
 * gets it in the thread that has pinned its memory, and before the thread pins any other. */
SEC("kprobe")
int number_enter_kprobe(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct registration *of = bpf_map_lookup_elem(&registering, &tid);

	if (of)
		of->entry = PT_REGS_PARM1(ctx);
	return 0;
}

/* numbers says whether it is the pinned memory's region that has got its number: memory is pinned
 * for what is no region, too, and regions are made of what is not pinned. One that was registered with
 * another address is left out, since nothing tells that it is this one. */
static __always_inline int numbers(struct rdma_restrack_entry *entry, const struct pin *pin, __u32 tid)
{
	struct ib_mr *mr = region_of(entry);

	return pin->event.tid == tid && BPF_CORE_READ(entry, valid) && BPF_CORE_READ(mr, length) == pin->region.length &&
	       BPF_CORE_READ(mr, iova) == pin->region.address;
}

SEC("kretprobe")
int number_leave_kprobe(struct pt_regs *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct registration *of = bpf_map_lookup_elem(&registering, &tid);
	struct rdma_restrack_entry *entry;
	struct number_event told;
	struct pin *pin;
	__u64 umem;

	if (!of || !of->entry)
		return 0;
	umem = of->umem;
	entry = (void *)of->entry;
	bpf_map_delete_elem(&registering, &tid);
	pin = bpf_map_lookup_elem(&pins, &umem);
	if (!pin || !is_region(entry) || !numbers(entry, pin, tid))
		return 0;
	pin->region.number = BPF_CORE_READ(entry, id);
	pin->event.state |= REGION_NUMBERED;
	if (!passes(&pin->event))
		return 0;
	told.event = pin->event;
	told.event.kind = KIND_NUMBERED;
	told.region = pin->region;
	bpf_ringbuf_output(&events, &told, sizeof(told), 0); /* no event of its own, so that none is lost */
	return 0;
}

#endif
