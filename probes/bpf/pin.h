/* Pins: who holds which pages of which file, recorded while there is somebody to ask. */
#ifndef UMEMSTRESS_PIN_H
#define UMEMSTRESS_PIN_H

/* ib_access_writable (include/rdma/ib_verbs.h): local or remote write, atomics, or a
 * window that may be bound for them. */
#define WRITABLE_ACCESS (1 | 2 | 8 | 16)

/* begin_pin notes that the current process is about to pin some of its memory. 0: it is no process,
 * whose memory is of no file, or there is no room. */
static __always_inline struct pin *begin_pin(void *ctx, enum holder holder, __u64 address, __u64 length, __u32 access)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct owner self = {};
	struct pin *pin;

	if (!current_owner(&self, holder))
		return 0;
	if (!bpf_map_update_elem(&pinning, &tid, &no_pin, BPF_NOEXIST)) {
		__sync_fetch_and_add(&pinning_now, 1);
	} else {
		/* The return of one was missed, or there is no room. */
		__sync_fetch_and_add(&lost_pins, 1);
		bpf_map_update_elem(&pinning, &tid, &no_pin, BPF_EXIST);
	}
	pin = bpf_map_lookup_elem(&pinning, &tid);
	if (!pin)
		return 0;
	pin->event.holder = holder;
	set_actor(&pin->event);
	set_owner(&pin->event, &self);
	pin->event.stack = take_stack(ctx); /* at the return, it would end there on 5.10 */
	pin->region.address = address;
	pin->region.length = length;
	pin->region.access = access;
	return pin;
}

/* struct ib_umem *ib_umem_get(struct ib_device *, unsigned long addr, size_t, int access),
 * and __ib_umem_get_va. Registrations are rare, so that a kprobe serves. */
SEC("kprobe")
int umem_get_enter_kprobe(struct pt_regs *ctx)
{
	struct ib_device *device = (void *)PT_REGS_PARM1(ctx);
	struct pin *pin = begin_pin(ctx, HOLDER_UMEM, PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx));

	if (pin && bpf_core_type_exists(struct ib_device))
		bpf_probe_read_kernel_str(pin->region.rdma, RDMA_NAME, &device->name);
	return 0;
}

static __always_inline struct pin *current_pin(void)
{
	__u32 tid;

	if (!pinning_now)
		return 0;
	tid = bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&pinning, &tid);
}

/* note_page notes the file of the first page that is one's. */
static __always_inline void note_page(struct pin *pin, unsigned long page)
{
	struct inode *host;

	if (pin->host)
		return;
	host = host_of(page);
	if (!host)
		return;
	pin->host = (__u64)host;
	name_inode(&pin->event, host);
	pin->event.index = index_of(page);
}

/* note_pages is given where the pointer to a page is. */
static __always_inline void note_pages(struct pin *pin, __u64 pages)
{
	unsigned long page = 0;

	if (!bpf_probe_read_kernel(&page, sizeof(page), (void *)pages))
		note_page(pin, page);
}

/* pinned_pages notes that a part of the region has been pinned. */
static __always_inline int pinned_pages(struct pin *pin, __u64 pages, int got)
{
	if (got <= 0)
		return 0;
	pin->event.pages += got;
	note_pages(pin, pages);
	return 0;
}

/* int pin_user_pages_fast(unsigned long start, int nr_pages, unsigned int gup_flags,
 * struct page **pages). Direct reads call it, too, since 6.5. A pointer to a pointer is
 * nothing that the verifier lets be read as an argument; since 5.17 a helper gives it. */
SEC("fexit")
int pinned_pages_fexit(unsigned long long *ctx)
{
	struct pin *pin = current_pin();
	__u64 pages = 0;

	if (!pin || bpf_get_func_arg(ctx, 3, &pages))
		return 0;
	return pinned_pages(pin, pages, (int)ctx[4]);
}

SEC("kprobe")
int pinned_pages_enter_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	if (pin)
		pin->pages = PT_REGS_PARM4(ctx);
	return 0;
}

SEC("kretprobe")
int pinned_pages_leave_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	return pin ? pinned_pages(pin, pin->pages, PT_REGS_RC(ctx)) : 0;
}

/* name_path writes the names of a file and of its directories, upwards to the root of its
 * file system, as far as there is room. */
static __always_inline void name_path(char (*names)[PATH_NAME], struct inode *host)
{
	struct hlist_node *first = BPF_CORE_READ(host, i_dentry.first);
	struct dentry *dentry, *parent;
	unsigned long offset;

	if (bpf_core_field_exists(((struct dentry___flat *)0)->d_alias))
		offset = bpf_core_field_offset(struct dentry___flat, d_alias);
	else
		offset = bpf_core_field_offset(struct dentry, d_u);
	if (!first)
		return;
	dentry = (void *)((unsigned long)first - offset);
#pragma unroll
	for (int i = 0; i < PATH_NAMES; i++) {
		parent = BPF_CORE_READ(dentry, d_parent);
		if (!parent || parent == dentry)
			return;
		bpf_probe_read_kernel_str(names[i], PATH_NAME, BPF_CORE_READ(dentry, d_name.name));
		dentry = parent;
	}
}

static __always_inline void tell_pin(const struct pin *pin, enum kind kind, __s32 error)
{
	struct pin_event *told;

	if (!passes(&pin->event))
		return;
	if (pin->event.holder == HOLDER_UMEM)
		__sync_fetch_and_add(kind == KIND_PINNED ? &regions_pinned : &regions_refused, 1);
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told) {
		__sync_fetch_and_add(&lost_events, 1);
		return;
	}
	__builtin_memset(told->names, 0, sizeof(told->names));
	told->event = pin->event;
	told->event.kind = kind;
	told->region = pin->region;
	told->error = error;
	told->pad = 0;
	if (pin->host)
		name_path(told->names, (void *)pin->host);
	bpf_ringbuf_submit(told, 0);
}

static __always_inline int is_error(__s64 umem) { return umem < 0 && umem >= -4095; }

/* forget_pin ends what begin_pin began. */
static __always_inline void forget_pin(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&pinning, &tid);
	__sync_fetch_and_add(&pinning_now, -1);
}

static __always_inline void stamp(struct pin *pin)
{
	pin->event.time_ns = bpf_ktime_get_ns();
	pin->event.folios = 0;
	pin->region.pinned_ns = pin->event.time_ns;
}

/* at_risk says whether somebody writes to a file's pages by the pin. */
static __always_inline int at_risk(const struct pin *pin)
{
	return pin->region.access & WRITABLE_ACCESS && of_file(&pin->event);
}

/* tell_outcome is called at the return of what pins: the answer is an error, or none. */
static __always_inline void tell_outcome(struct pin *pin, __s64 answer)
{
	struct owner owner = {};

	if (is_error(answer)) {
		tell_pin(pin, KIND_REFUSED, answer);
	} else if (at_risk(pin)) {
		owner.process = pin->event.owner;
		owner.holder = pin->event.holder;
		owner.cgroup = pin->event.cgroup;
		__builtin_memcpy(owner.comm, pin->event.owner_comm, sizeof(owner.comm));
		owns(&owner, pin->event.inode, pin->event.device);
		tell_pin(pin, KIND_PINNED, 0);
	}
}

/* umem_got is called at the return of a registration. */
static __always_inline int umem_got(struct pin *pin, __s64 umem)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct registration of = {.umem = umem};

	stamp(pin);
	bpf_map_delete_elem(&registering, &tid);
	if (!is_error(umem)) {
		/* Also one of anonymous memory, so that its release is known for what
		 * it is. */
		if (bpf_map_update_elem(&pins, &umem, pin, BPF_ANY))
			__sync_fetch_and_add(&lost_pins, 1);
		else if (at_risk(pin))
			bpf_map_update_elem(&registering, &tid, &of, BPF_ANY);
	}
	tell_outcome(pin, umem);
	forget_pin();
	return 0;
}

/* A place in a file that is mapped. */
struct place {
	struct inode *host;
	__u64 index;
	__u64 address;
};

/* note_place is called with the mmap lock held, so that the file is there. */
static long note_place(struct task_struct *task, struct vm_area_struct *vma, struct place *place)
{
	struct file___open *file = BPF_CORE_READ(vma, vm_file);

	if (!file)
		return 0;
	place->host = BPF_CORE_READ(file, f_inode);
	place->index = BPF_CORE_READ(vma, vm_pgoff) + ((place->address - BPF_CORE_READ(vma, vm_start)) >> PAGE_SHIFT);
	return 0;
}

/* Since 5.17, which has a helper for it, the file at the address that is refused is asked for
 * while it is mapped: who is refused memory often ends at once, and its maps with it. */
static __always_inline void note_refused(struct pin *pin)
{
	struct place place = {.address = pin->region.address};

	bpf_find_vma(bpf_get_current_task_btf(), place.address, note_place, &place, 0);
	if (place.host) {
		name_inode(&pin->event, place.host);
		pin->event.index = place.index;
		pin->host = (__u64)place.host;
	}
}

SEC("kretprobe")
int umem_get_leave_mapped_kprobe(struct pt_regs *ctx)
{
	__s64 umem = PT_REGS_RC(ctx);
	struct pin *pin = current_pin();

	if (!pin)
		return 0;
	if (is_error(umem) && !pin->host)
		note_refused(pin);
	return umem_got(pin, umem);
}

SEC("kretprobe")
int umem_get_leave_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	return pin ? umem_got(pin, PT_REGS_RC(ctx)) : 0;
}

static __always_inline void read_siw_umem(struct region *region, __u64 umem);

/* tell_released is called at the end of a umem's release, while its task has the region's
 * record. What nobody saw pinned is told if it dirtied pages of a file: from the umem's own
 * words alone, anonymous memory looks the same. */
static __always_inline void tell_released(struct release *release)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 umem = release->region;
	struct pin *pin = bpf_map_lookup_elem(&pins, &umem);
	struct release_event *told;
	const struct event *of;

	if (pin && !at_risk(pin))
		goto forget;
	if (!pin && !release->seen.dirtied)
		return;
	of = pin ? &pin->event : &release->run;
	if (!passes(of))
		goto forget;
	__sync_fetch_and_add(&regions_released, 1);
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told) {
		__sync_fetch_and_add(&lost_events, 1);
		goto forget;
	}
	told->event = *of;
	told->event.time_ns = bpf_ktime_get_ns();
	told->event.kind = KIND_RELEASED;
	told->event.pid = release->run.pid;
	told->event.tid = release->run.tid;
	__builtin_memcpy(told->event.comm, release->run.comm, sizeof(told->event.comm));
	told->event.stack = release->stack;
	told->event.state = pin ? pin->event.state & REGION_NUMBERED : 0;
	told->event.pages = release->seen.dirtied;
	told->event.folios = release->seen.dirtied_folios;
	told->bufferless = release->seen.bufferless;
	told->unannounced = release->seen.unannounced;
	told->detached = release->seen.detached;
	told->signal = 0;
	told->pad = 0;
	if (BPF_CORE_READ(task, flags) & PF_EXITING) {
		told->event.state |= RELEASE_EXITING;
		told->signal = BPF_CORE_READ(task, exit_code) & 0x7f;
	}
	if (pin) {
		told->region = pin->region;
	} else if (release->siw) {
		told->event.state |= RELEASE_UNSEEN;
		read_siw_umem(&told->region, umem);
	} else {
		told->event.state |= RELEASE_UNSEEN;
		__builtin_memset(&told->region, 0, sizeof(told->region));
		bpf_probe_read_kernel(&told->region.length, sizeof(__u64), (void *)(umem + umem_length));
		bpf_probe_read_kernel(&told->region.address, sizeof(__u64), (void *)(umem + umem_address));
	}
	bpf_ringbuf_submit(told, 0);
forget:
	bpf_map_delete_elem(&pins, &umem);
}

#endif
