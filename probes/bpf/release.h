/* Releases: between enter and leave a holder lets go of its pages. */
#ifndef UMEMSTRESS_RELEASE_H
#define UMEMSTRESS_RELEASE_H

/* The release that the current task is in, if any. */
static __always_inline struct release *current_release(void)
{
	__u32 tid;

	if (!active)
		return 0;
	tid = bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&releases, &tid);
}

static __always_inline void tell_released(struct release *release);

static __always_inline void end_release(struct release *release)
{
	__u32 tid = bpf_get_current_pid_tgid();

	end_run(release);
	if (release->region)
		tell_released(release);
	bpf_map_delete_elem(&releases, &tid);
	__sync_fetch_and_add(&active, -1);
}

/* stale tells that the return of a release was missed: its task is in another one
 * that cannot be a part of it. No holder's release calls one of its own kind, and what a
 * function calls has its place below it on the stack. */
static __always_inline int stale(const struct release *release, enum holder holder, __u64 frame)
{
	return release->run.holder == holder || (frame && release->frame && frame >= release->frame);
}

/* contains tells that a release is siw's and has dirtied nothing, so that the one which it now calls
 * is of the umem that it consists of: see siw.h. */
static __always_inline int contains(const struct release *release, enum holder holder)
{
	return release->siw && release->run.holder == holder && !release->seen.dirtied && !release->run.pages;
}

/* begin enters a release in the name of the owner, or, if that is no process, of the current
 * one. 0: it is part of another one, or there is no room for it. */
static __always_inline struct release *begin(void *ctx, enum holder holder, __u64 frame, struct owner *owner)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct release *outer = bpf_map_lookup_elem(&releases, &tid), *fresh;

	if (outer) {
		if (contains(outer, holder))
			outer->region = 0;
		else if (!stale(outer, holder, frame))
			return 0;
		else /* What the task dirtied since may not be the release's. */
			__sync_fetch_and_add(&lost_releases, 1);
		end_release(outer);
	}
	if (bpf_map_update_elem(&releases, &tid, &no_release, BPF_NOEXIST) ||
	    !(fresh = bpf_map_lookup_elem(&releases, &tid))) {
		__sync_fetch_and_add(&lost_releases, 1);
		return 0;
	}
	fresh->run.kind = KIND_DIRTIED;
	fresh->run.holder = holder;
	fresh->frame = frame;
	fresh->mapping = NO_MAPPING;
	fresh->stack = NO_STACK;
	set_actor(&fresh->run);
	if (owner->process || current_owner(owner, holder)) {
		set_owner(&fresh->run, owner);
		fresh->known = 1;
	}
	__sync_fetch_and_add(&active, 1);
	return fresh;
}

/* Releases that dirty nothing are not entered, and must not end the one that
 * they interrupt: a bio that completes in an interrupt does so in the name of
 * whatever task it finds. fexit is given the arguments to tell them by;
 * kretprobe is not, and tells them by their place on the stack, which is within
 * some words of where the entry was (and by far more below it in whatever the
 * release calls, or on another stack in an interrupt). */
#define SAME_FRAME 256

/* leave ends what a release of the holder has begun. frame is 0 at an fexit. */
static __always_inline int leave(enum holder holder, __u64 frame)
{
	struct release *release = current_release();

	if (!release || release->run.holder != holder)
		return 0;
	if (!frame || frame - release->frame + SAME_FRAME <= 2 * SAME_FRAME)
		end_release(release);
	return 0;
}

/* void ib_umem_release(struct ib_umem *), and __ib_umem_release. The stack is taken
 * here, since it leads to the caller: one taken inside ends where a kretprobe waits for
 * the return, on 5.10. */
static __always_inline int enter_umem(void *ctx, __u64 umem, __u64 frame, __u32 siw)
{
	struct pin *pin = bpf_map_lookup_elem(&pins, &umem);
	struct owner owner = {};
	struct release *release;

	if (!umem)
		return 0;
	if (pin) {
		owner.process = pin->event.owner;
		owner.cgroup = pin->event.cgroup;
		__builtin_memcpy(owner.comm, pin->event.owner_comm, sizeof(owner.comm));
	}
	release = begin(ctx, HOLDER_UMEM, frame, &owner);
	if (!release)
		return 0;
	release->stack = take_stack(ctx);
	release->region = want_regions ? umem : 0;
	release->siw = siw;
	return 0;
}

SEC("fentry")
int BPF_PROG(umem_enter_fentry, void *umem)
{
	return enter_umem(ctx, (__u64)umem, 0, 0);
}

SEC("fexit")
int umem_leave_fexit(void *ctx)
{
	return leave(HOLDER_UMEM, 0);
}

SEC("kprobe")
int umem_enter_kprobe(struct pt_regs *ctx)
{
	return enter_umem(ctx, PT_REGS_PARM1(ctx), PT_REGS_SP(ctx), 0);
}

SEC("kretprobe")
int umem_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_UMEM, PT_REGS_SP(ctx));
}

/* void __bio_release_pages(struct bio *, bool mark_dirty), and bio_release_pages.
 * A bool is the low byte of what it is passed in. */
static __always_inline int enter_bio(void *ctx, __u64 bio, __u64 mark_dirty, __u64 frame)
{
	struct owner *reader = bpf_map_lookup_elem(&readers, &bio);
	struct owner owner = {};
	struct release *release;
	int submitted = 0;

	if (reader) {
		owner = *reader;
		submitted = 1;
		bpf_map_delete_elem(&readers, &bio);
	}
	if (!(mark_dirty & 0xff))
		return 0;
	release = begin(ctx, HOLDER_DIO, frame, &owner);
	if (release && submitted)
		release->stack = take_stack(ctx); /* not of every read into anonymous memory */
	return 0;
}

SEC("fentry")
int BPF_PROG(bio_enter_fentry, void *bio, __u64 mark_dirty)
{
	return enter_bio(ctx, (__u64)bio, mark_dirty, 0);
}

SEC("fexit")
int BPF_PROG(bio_leave_fexit, void *bio, __u64 mark_dirty)
{
	return mark_dirty & 0xff ? leave(HOLDER_DIO, 0) : 0;
}

SEC("kprobe")
int bio_enter_kprobe(struct pt_regs *ctx)
{
	return enter_bio(ctx, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_SP(ctx));
}

SEC("kretprobe")
int bio_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_DIO, PT_REGS_SP(ctx));
}

static __always_inline int enter_vmwritev(void *ctx, __u64 frame, __u32 window)
{
	struct owner owner = {};
	struct release *release = begin(ctx, HOLDER_VMWRITEV, frame, &owner);

	if (release) {
		release->stack = take_stack(ctx);
		release->window = release->paused = window;
	}
	return 0;
}

/* void unpin_user_pages_dirty_lock(struct page **, unsigned long, bool make_dirty) */
SEC("fentry")
int BPF_PROG(unpin_enter_fentry, void *pages, __u64 number, __u64 make_dirty)
{
	return make_dirty & 0xff ? enter_vmwritev(ctx, 0, 0) : 0;
}

SEC("fexit")
int BPF_PROG(unpin_leave_fexit, void *pages, __u64 number, __u64 make_dirty)
{
	return make_dirty & 0xff ? leave(HOLDER_VMWRITEV, 0) : 0;
}

SEC("kprobe")
int unpin_enter_kprobe(struct pt_regs *ctx)
{
	return PT_REGS_PARM3(ctx) & 0xff ? enter_vmwritev(ctx, PT_REGS_SP(ctx), 0) : 0;
}

SEC("kretprobe")
int unpin_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_VMWRITEV, PT_REGS_SP(ctx));
}

/* Where the release of a umem calls the function above for each page, the system call
 * stands for it, so that no hook is in that way:
 *
 *   process_vm_writev: pin_user_pages_remote, copy, unpin, pin_user_pages_remote, ...
 *
 * What the pin dirties, it has faulted in and told the file system of, and the release
 * pauses meanwhile, and until the first one. */
SEC("fentry")
int call_enter_fentry(void *ctx)
{
	return enter_vmwritev(ctx, 0, 1);
}

SEC("fexit")
int call_leave_fexit(void *ctx)
{
	return leave(HOLDER_VMWRITEV, 0);
}

SEC("kprobe")
int call_enter_kprobe(struct pt_regs *ctx)
{
	return enter_vmwritev(ctx, PT_REGS_SP(ctx), 1);
}

SEC("kretprobe")
int call_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_VMWRITEV, PT_REGS_SP(ctx));
}

static __always_inline int pause(__u32 paused)
{
	struct release *release = current_release();

	if (release && release->window)
		release->paused = paused;
	return 0;
}

SEC("fentry")
int pause_fentry(void *ctx)
{
	return pause(1);
}

SEC("kprobe")
int pause_kprobe(struct pt_regs *ctx)
{
	return pause(1);
}

SEC("fentry")
int resume_fentry(void *ctx)
{
	return pause(0);
}

SEC("fexit")
int resume_fexit(void *ctx)
{
	return pause(0);
}

/* At a return, too. */
SEC("kprobe")
int resume_kprobe(struct pt_regs *ctx)
{
	return pause(0);
}

/* int vmci_qp_broker_detach(struct vmci_handle, struct vmci_ctx *). It dirties each page of the
 * queues when the side detaches that has given their memory, or closes /dev/vmci. */
static __always_inline int enter_vmci(void *ctx, __u64 frame)
{
	struct owner owner = {};
	struct release *release = begin(ctx, HOLDER_VMCI, frame, &owner);

	if (release)
		release->stack = take_stack(ctx);
	return 0;
}

SEC("fentry")
int vmci_enter_fentry(void *ctx)
{
	return enter_vmci(ctx, 0);
}

SEC("fexit")
int vmci_leave_fexit(void *ctx)
{
	return leave(HOLDER_VMCI, 0);
}

SEC("kprobe")
int vmci_enter_kprobe(struct pt_regs *ctx)
{
	return enter_vmci(ctx, PT_REGS_SP(ctx));
}

SEC("kretprobe")
int vmci_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_VMCI, PT_REGS_SP(ctx));
}

/* static void nfs_direct_read_completion(struct nfs_pgio_header *hdr), in a worker of the kernel.
 * hdr begins with the inode (include/linux/nfs_xdr.h, 5.10 to 7.2), and kernels have no types of
 * modules before 5.11. */
static __always_inline int enter_nfs(void *ctx, __u64 header, __u64 frame)
{
	struct owner owner = {}, *reader;
	struct release *release;
	__u64 inode = 0;

	bpf_probe_read_kernel(&inode, sizeof(inode), (void *)header);
	reader = bpf_map_lookup_elem(&readers, &inode);
	if (reader)
		owner = *reader;
	release = begin(ctx, HOLDER_NFS, frame, &owner);
	if (release)
		release->stack = take_stack(ctx);
	return 0;
}

SEC("fentry")
int BPF_PROG(nfs_enter_fentry, void *header)
{
	return enter_nfs(ctx, (__u64)header, 0);
}

SEC("fexit")
int nfs_leave_fexit(void *ctx)
{
	return leave(HOLDER_NFS, 0);
}

SEC("kprobe")
int nfs_enter_kprobe(struct pt_regs *ctx)
{
	return enter_nfs(ctx, PT_REGS_PARM1(ctx), PT_REGS_SP(ctx));
}

SEC("kretprobe")
int nfs_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_NFS, PT_REGS_SP(ctx));
}

/* A task that dies inside the release (BUG, oops), a pin or a strip, never returns from it. */
SEC("raw_tp/sched_process_exit")
int release_abandoned(void *ctx)
{
	struct release *release = current_release();
	__u32 tid;

	if (release)
		end_release(release);
	tid = bpf_get_current_pid_tgid();
	if (pinning_now && !bpf_map_delete_elem(&pinning, &tid))
		__sync_fetch_and_add(&pinning_now, -1);
	if (stripping_now && !bpf_map_delete_elem(&strippings, &tid))
		__sync_fetch_and_add(&stripping_now, -1);
	return 0;
}

#endif
