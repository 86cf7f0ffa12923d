/* A queue's buffers, of V4L2: their pin, and their release. */
#ifndef UMEMSTRESS_QUEUE_H
#define UMEMSTRESS_QUEUE_H

/* struct frame_vector (include/media/frame_vector.h, and include/linux/mm.h up to 5.11), 5.10 to 7.2:
 * how many frames there are, whether they are numbers of frames, as of a device's memory, and not pages, and
 * these. */
#define FRAMES_NUMBER 4
#define FRAMES_ARE_NUMBERS 9
#define FRAMES 16

/* struct frame_vector *vb2_create_framevec(unsigned long start, unsigned long length): each allocator
 * pins a program's memory by it, when a buffer is queued that was not in that memory before. */
SEC("kprobe")
int frames_enter_kprobe(struct pt_regs *ctx)
{
	begin_pin(ctx, HOLDER_V4L2, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), 1);
	return 0;
}

/* Since 6.2 it has a bool write, which is false of what a device only reads. */
SEC("kprobe")
int frames_enter_write_kprobe(struct pt_regs *ctx)
{
	begin_pin(ctx, HOLDER_V4L2, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx) & 0xff ? 1 : 0);
	return 0;
}

static __always_inline int frames_got(struct pin *pin, __s64 frames)
{
	__u32 number = 0;
	__u8 numbers = 0;

	stamp(pin);
	if (!is_error(frames)) {
		bpf_probe_read_kernel(&number, sizeof(number), (void *)(frames + FRAMES_NUMBER));
		bpf_probe_read_kernel(&numbers, sizeof(numbers), (void *)(frames + FRAMES_ARE_NUMBERS));
		pin->event.pages = number;
		if (!numbers)
			note_pages(pin, frames + FRAMES);
	}
	tell_outcome(pin, frames);
	forget_pin();
	return 0;
}

SEC("kretprobe")
int frames_leave_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	return pin && pin->event.holder == HOLDER_V4L2 ? frames_got(pin, PT_REGS_RC(ctx)) : 0;
}

SEC("kretprobe")
int frames_leave_mapped_kprobe(struct pt_regs *ctx)
{
	__s64 frames = PT_REGS_RC(ctx);
	struct pin *pin = current_pin();

	if (!pin || pin->event.holder != HOLDER_V4L2)
		return 0;
	if (is_error(frames) && !pin->host)
		note_refused(pin);
	return frames_got(pin, frames);
}

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
