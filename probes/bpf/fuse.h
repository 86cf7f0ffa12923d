/* Direct reads from FUSE: who asked for one that nobody waits for, and the release of its pages. */
#ifndef UMEMSTRESS_FUSE_H
#define UMEMSTRESS_FUSE_H

#define FUSE_READ 15 /* include/uapi/linux/fuse.h */

/* int fuse_simple_background(struct fuse_mount *, struct fuse_args *, gfp_t): a request that nobody
 * waits for here. struct fuse_args begins with the number of the node and the opcode (fs/fuse/fuse_i.h,
 * 5.10 to 7.2). What is read ahead comes by, too. */
static __always_inline int submitted_fuse(__u64 args)
{
	struct owner reader = {};
	__u32 opcode = 0;

	bpf_probe_read_kernel(&opcode, sizeof(opcode), (void *)(args + sizeof(__u64)));
	if (opcode == FUSE_READ && current_owner(&reader, HOLDER_FUSE))
		bpf_map_update_elem(&readers, &args, &reader, BPF_ANY);
	return 0;
}

SEC("fentry")
int BPF_PROG(fuse_reader_fentry, void *mount, void *args)
{
	return submitted_fuse((__u64)args);
}

SEC("kprobe")
int fuse_reader_kprobe(struct pt_regs *ctx)
{
	return submitted_fuse(PT_REGS_PARM2(ctx));
}

/* static void fuse_release_user_pages(struct fuse_args_pages *ap, ...), which begins with its struct
 * fuse_args; in the task that reads or, of a read that does not wait, in one of the server. */
static __always_inline int enter_fuse(void *ctx, __u64 args, __u64 frame, __u32 window)
{
	struct owner owner = {}, *reader = bpf_map_lookup_elem(&readers, &args);
	struct release *release;

	if (reader) {
		owner = *reader;
		bpf_map_delete_elem(&readers, &args);
	}
	release = begin(ctx, HOLDER_FUSE, frame, &owner);
	if (release) {
		release->stack = take_stack(ctx);
		release->window = release->paused = window;
	}
	return 0;
}

SEC("fentry")
int BPF_PROG(fuse_enter_fentry, void *args)
{
	return enter_fuse(ctx, (__u64)args, 0, 0);
}

SEC("fexit")
int fuse_leave_fexit(void *ctx)
{
	return leave(HOLDER_FUSE, 0);
}

SEC("kprobe")
int fuse_enter_kprobe(struct pt_regs *ctx)
{
	return enter_fuse(ctx, PT_REGS_PARM1(ctx), PT_REGS_SP(ctx), 0);
}

SEC("kretprobe")
int fuse_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_FUSE, PT_REGS_SP(ctx));
}

/* Where that has become a part of its callers, they stand for it. In this one, the kernel pins, waits
 * for the answer, and lets go, and the release pauses while it pins, as above:
 *
 *   ssize_t fuse_direct_io(...): fuse_io_alloc, pin, fuse_simple_request, let go, fuse_io_alloc, ... */
SEC("fentry")
int fuse_call_enter_fentry(void *ctx)
{
	return enter_fuse(ctx, 0, 0, 1);
}

SEC("kprobe")
int fuse_call_enter_kprobe(struct pt_regs *ctx)
{
	return enter_fuse(ctx, 0, PT_REGS_SP(ctx), 1);
}

/* static void fuse_aio_complete_req(struct fuse_mount *fm, struct fuse_args *args, int err) */
SEC("fentry")
int BPF_PROG(fuse_aio_enter_fentry, void *mount, void *args)
{
	return enter_fuse(ctx, (__u64)args, 0, 0);
}

SEC("kprobe")
int fuse_aio_enter_kprobe(struct pt_regs *ctx)
{
	return enter_fuse(ctx, PT_REGS_PARM2(ctx), PT_REGS_SP(ctx), 0);
}

#endif
