/* The pin of a queue pair, of VMCI. Its release is in release.h. */
#ifndef UMEMSTRESS_VMCI_H
#define UMEMSTRESS_VMCI_H

/* struct vmci_queue (include/linux/vmw_vmci_defs.h) and struct vmci_queue_kern_if
 * (drivers/misc/vmw_vmci/vmci_queue_pair.c), 5.10 to 7.2. The kernel itself has no types for them; the
 * second begins with a struct mutex, which it has. */
#define QUEUE_KERNEL_IF 16
#define KERNEL_IF_NUMBER (bpf_core_type_size(struct mutex) + 8)
#define KERNEL_IF_PAGES (bpf_core_type_size(struct mutex) + 32)

/* queue_pages returns of how many pages a queue is, and where the pointers to them are. */
static __always_inline __u64 queue_pages(__u64 queue, __u64 *pages)
{
	__u64 kernel_if = 0, number = 0;

	bpf_probe_read_kernel(&kernel_if, sizeof(kernel_if), (void *)(queue + QUEUE_KERNEL_IF));
	bpf_probe_read_kernel(&number, sizeof(number), (void *)(kernel_if + KERNEL_IF_NUMBER));
	bpf_probe_read_kernel(pages, sizeof(*pages), (void *)(kernel_if + KERNEL_IF_PAGES));
	return number;
}

/* static int qp_host_get_user_memory(u64 produce_uva, u64 consume_uva, struct vmci_queue *produce_q,
 * struct vmci_queue *consume_q). What it is given lies in one piece. */
SEC("kprobe")
int pair_enter_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = begin_pin(ctx, HOLDER_VMCI, PT_REGS_PARM1(ctx), 0, 1);

	if (pin) {
		pin->pages = PT_REGS_PARM3(ctx);
		pin->second = PT_REGS_PARM4(ctx);
	}
	return 0;
}

/* The first page of each queue is its header, and often not of the file that its data are in. What is
 * told begins where the file does. */
SEC("kretprobe")
int pair_leave_kprobe(struct pt_regs *ctx)
{
	__u64 first = 0, second = 0, produced, consumed, skipped = 0;
	struct pin *pin = current_pin();

	if (!pin || pin->event.holder != HOLDER_VMCI)
		return 0;
	if ((int)PT_REGS_RC(ctx) < 0) { /* no errno, but a word of VMCI's own */
		forget_pin();
		return 0;
	}
	produced = queue_pages(pin->pages, &first);
	consumed = queue_pages(pin->second, &second);
	note_pages(pin, first);
	if (!pin->host) {
		skipped = 1;
		note_pages(pin, first + sizeof(__u64));
	}
	if (!pin->host) {
		skipped = produced;
		note_pages(pin, second);
	}
	if (!pin->host) {
		skipped = produced + 1;
		note_pages(pin, second + sizeof(__u64));
	}
	stamp(pin);
	pin->event.pages = produced + consumed - skipped;
	pin->region.address += skipped << PAGE_SHIFT;
	pin->region.length = pin->event.pages << PAGE_SHIFT;
	tell_outcome(pin, 0);
	forget_pin();
	return 0;
}

#endif
