/* The umem of AF_XDP sockets: its pin, and its release. */
#ifndef UMEMSTRESS_XDP_H
#define UMEMSTRESS_XDP_H

#define EINVAL 22 /* include/uapi/asm-generic/errno-base.h */

/* struct xdp_umem *xdp_umem_create(struct xdp_umem_reg *mr). mr, which was copied from the program,
 * begins with address and length (include/uapi/linux/if_xdp.h). */
SEC("kprobe")
int xdp_create_enter_kprobe(struct pt_regs *ctx)
{
	__u64 mr[2] = {};

	bpf_probe_read_kernel(mr, sizeof(mr), (void *)PT_REGS_PARM1(ctx));
	begin_pin(ctx, HOLDER_XDP, mr[0], mr[1], 1);
	return 0;
}

/* The first page may be of no file, as where a program keeps a header there: what is told begins where the
 * file does. */
static __always_inline void pass_header(struct pin *pin)
{
	pin->region.address += 1UL << PAGE_SHIFT;
	pin->region.length -= 1UL << PAGE_SHIFT;
}

/* A umem is released by whoever gives its last socket up, or a worker of the kernel, in the name of who
 * registered it. */
static __always_inline int xdp_created(struct pin *pin, __s64 answer)
{
	struct xdp_umem *umem = (void *)answer;
	struct owner owner = {.holder = HOLDER_XDP};
	__u64 pages;

	if (answer == -EINVAL) { /* of what is no umem; nothing was to be pinned */
		forget_pin();
		return 0;
	}
	stamp(pin);
	if (!is_error(answer)) {
		owner.process = pin->event.owner;
		owner.cgroup = pin->event.cgroup;
		__builtin_memcpy(owner.comm, pin->event.owner_comm, sizeof(owner.comm));
		bpf_map_update_elem(&readers, &umem, &owner, BPF_ANY);

		pages = (__u64)BPF_CORE_READ(umem, pgs);
		pin->event.pages = BPF_CORE_READ(umem, npgs);
		note_pages(pin, pages);
		if (!pin->host && pin->event.pages > 1) {
			note_pages(pin, pages + sizeof(__u64));
			pin->event.pages--;
			pass_header(pin);
		}
	}
	tell_outcome(pin, answer);
	forget_pin();
	return 0;
}

SEC("kretprobe")
int xdp_create_leave_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	return pin && pin->event.holder == HOLDER_XDP ? xdp_created(pin, PT_REGS_RC(ctx)) : 0;
}

SEC("kretprobe")
int xdp_create_leave_mapped_kprobe(struct pt_regs *ctx)
{
	__s64 answer = PT_REGS_RC(ctx);
	struct pin *pin = current_pin();

	if (!pin || pin->event.holder != HOLDER_XDP)
		return 0;
	if (is_error(answer) && answer != -EINVAL) {
		note_refused(pin);
		if (!pin->host && pin->region.length > 1UL << PAGE_SHIFT) {
			pass_header(pin);
			note_refused(pin);
		}
	}
	return xdp_created(pin, answer);
}

/* void xdp_put_umem(struct xdp_umem *, bool defer_cleanup), called once for each socket. Of a socket that was
 * never bound defer_cleanup is true, and xdp_umem_release_deferred(struct work_struct *) releases. */
static __always_inline int enter_xdp(void *ctx, __u64 umem, __u64 frame)
{
	struct owner *pinned = bpf_map_lookup_elem(&readers, &umem), owner = {};
	struct release *release;

	if (pinned)
		owner = *pinned;
	release = begin(ctx, HOLDER_XDP, frame, &owner);
	if (release)
		release->stack = take_stack(ctx);
	return 0;
}

static __always_inline __u64 umem_of(__u64 work) { return work - bpf_core_field_offset(struct xdp_umem, work); }

SEC("fentry")
int BPF_PROG(xdp_enter_fentry, void *umem)
{
	return enter_xdp(ctx, (__u64)umem, 0);
}

SEC("fentry")
int BPF_PROG(xdp_work_enter_fentry, void *work)
{
	return enter_xdp(ctx, umem_of((__u64)work), 0);
}

SEC("fexit")
int xdp_leave_fexit(void *ctx)
{
	return leave(HOLDER_XDP, 0);
}

SEC("kprobe")
int xdp_enter_kprobe(struct pt_regs *ctx)
{
	return enter_xdp(ctx, PT_REGS_PARM1(ctx), PT_REGS_SP(ctx));
}

SEC("kprobe")
int xdp_work_enter_kprobe(struct pt_regs *ctx)
{
	return enter_xdp(ctx, umem_of(PT_REGS_PARM1(ctx)), PT_REGS_SP(ctx));
}

SEC("kretprobe")
int xdp_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_XDP, PT_REGS_SP(ctx));
}

#endif
