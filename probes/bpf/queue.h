/* The release of a queue's buffers, of V4L2. */
#ifndef UMEMSTRESS_QUEUE_H
#define UMEMSTRESS_QUEUE_H

/* static ... __vb2_queue_free(struct vb2_queue *, ...): a program gives the buffers of its queue
 * back, or closes the device. The allocator of the device's driver dirties each page of those
 * that are the program's own memory. */
static __always_inline int enter_queue(void *ctx, __u64 frame)
{
	struct owner owner = {};
	struct release *release = begin(ctx, HOLDER_V4L2, frame, &owner);

	if (release)
		release->stack = take_stack(ctx);
	return 0;
}

SEC("fentry")
int queue_enter_fentry(void *ctx)
{
	return enter_queue(ctx, 0);
}

SEC("fexit")
int queue_leave_fexit(void *ctx)
{
	return leave(HOLDER_V4L2, 0);
}

SEC("kprobe")
int queue_enter_kprobe(struct pt_regs *ctx)
{
	return enter_queue(ctx, PT_REGS_SP(ctx));
}

SEC("kretprobe")
int queue_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_V4L2, PT_REGS_SP(ctx));
}

#endif
