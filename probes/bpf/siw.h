/* What siw (soft-iWARP) pins by itself, and lets go of: up to 6.7 in a struct of its own. Later ones ask for
 * a umem in the functions of the same names, as other drivers do in theirs, and that is what is watched there. */
#ifndef UMEMSTRESS_SIW_H
#define UMEMSTRESS_SIW_H

/* struct siw_umem and struct siw_page_chunk (drivers/infiniband/sw/siw/siw.h), 5.3 to 6.7: chunks, which begin with
 * the pointer to their pages' pointers, how many pages there are, and the address of the first. */
#define SIW_UMEM_CHUNKS 0
#define SIW_UMEM_PAGES 8
#define SIW_UMEM_ADDRESS 16

static __always_inline __u32 siw_umem_pages(__u64 umem)
{
	__u32 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), (void *)(umem + SIW_UMEM_PAGES));
	return number;
}

/* read_siw_umem fills in what there is to know of a region that nobody saw pinned: whole pages. */
static __always_inline void read_siw_umem(struct region *region, __u64 umem)
{
	__builtin_memset(region, 0, sizeof(*region));
	bpf_probe_read_kernel(&region->address, sizeof(region->address), (void *)(umem + SIW_UMEM_ADDRESS));
	region->length = (__u64)siw_umem_pages(umem) << PAGE_SHIFT;
}

static __always_inline int registers_siw(const struct pin *pin) { return pin && pin->event.holder == HOLDER_UMEM; }

/* struct ib_mr *siw_reg_user_mr(struct ib_pd *, u64 start, u64 len, u64 rnic_va, int rights, ...) */
SEC("kprobe")
int siw_register_enter_kprobe(struct pt_regs *ctx)
{
	struct ib_pd *pd = (void *)PT_REGS_PARM1(ctx);
	struct pin *pin = begin_pin(ctx, HOLDER_UMEM, PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM5(ctx));

	if (pin && bpf_core_type_exists(struct ib_pd) && bpf_core_type_exists(struct ib_device))
		bpf_probe_read_kernel_str(pin->region.rdma, RDMA_NAME, BPF_CORE_READ(pd, device)->name);
	return 0;
}

/* What is refused before memory is asked for is no pin. */
SEC("kretprobe")
int siw_register_leave_kprobe(struct pt_regs *ctx)
{
	if (registers_siw(current_pin()))
		forget_pin();
	return 0;
}

/* struct siw_umem *siw_umem_get(u64 start, u64 len, bool writable), and later (struct ib_device *, ...): that
 * one, whose first argument is no address of a program's, calls what is watched. */
SEC("kprobe")
int siw_get_enter_kprobe(struct pt_regs *ctx)
{
	if ((__s64)PT_REGS_PARM1(ctx) < 0 && registers_siw(current_pin()))
		forget_pin();
	return 0;
}

SEC("kretprobe")
int siw_get_leave_kprobe(struct pt_regs *ctx)
{
	__s64 umem = PT_REGS_RC(ctx);
	struct pin *pin = current_pin();
	__u64 chunks = 0, pages = 0;

	if (!registers_siw(pin))
		return 0;
	if (!is_error(umem)) {
		pin->event.pages = siw_umem_pages(umem);
		bpf_probe_read_kernel(&chunks, sizeof(chunks), (void *)(umem + SIW_UMEM_CHUNKS));
		bpf_probe_read_kernel(&pages, sizeof(pages), (void *)chunks);
		note_pages(pin, pages);
	}
	return umem_got(pin, umem);
}

/* void siw_umem_release(struct siw_umem *, bool dirty), and later (struct siw_umem *). It ends as a umem's does. */
SEC("fentry")
int BPF_PROG(siw_enter_fentry, void *umem)
{
	return enter_umem(ctx, (__u64)umem, 0, 1);
}

SEC("fexit")
int siw_leave_fexit(void *ctx)
{
	return leave(HOLDER_UMEM, 0);
}

SEC("kprobe")
int siw_enter_kprobe(struct pt_regs *ctx)
{
	return enter_umem(ctx, PT_REGS_PARM1(ctx), PT_REGS_SP(ctx), 1);
}

SEC("kretprobe")
int siw_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_UMEM, PT_REGS_SP(ctx));
}

#endif
