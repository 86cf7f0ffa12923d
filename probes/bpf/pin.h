/* Pins: who holds which pages of which file, recorded while there is somebody to ask. */
#ifndef UMEMSTRESS_PIN_H
#define UMEMSTRESS_PIN_H

/* ib_access_writable (include/rdma/ib_verbs.h): local or remote write, atomics, or a
 * window that may be bound for them. */
#define WRITABLE_ACCESS (1 | 2 | 8 | 16)

/* struct ib_umem *ib_umem_get(struct ib_device *, unsigned long addr, size_t, int access),
 * and __ib_umem_get_va. Registrations are rare, so that a kprobe serves. */
SEC("kprobe")
int umem_get_enter_kprobe(struct pt_regs *ctx)
{
	struct ib_device *device = (void *)PT_REGS_PARM1(ctx);
	__u32 tid = bpf_get_current_pid_tgid();
	struct owner self = {};
	struct pin *pin;

	if (!current_owner(&self, HOLDER_UMEM))
		return 0; /* regions of the kernel's own are of no file */
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
	pin->event.holder = HOLDER_UMEM;
	set_actor(&pin->event);
	set_owner(&pin->event, &self);
	pin->event.stack = take_stack(ctx); /* at the return, it would end there on 5.10 */
	pin->region.address = PT_REGS_PARM2(ctx);
	pin->region.length = PT_REGS_PARM3(ctx);
	pin->region.access = PT_REGS_PARM4(ctx);
	if (bpf_core_type_exists(struct ib_device))
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

/* pinned_pages notes that a part of the region has been pinned, and the file of the first
 * page that is one's. */
static __always_inline int pinned_pages(struct pin *pin, __u64 pages, int got)
{
	unsigned long page = 0;
	struct inode *host;

	if (got <= 0)
		return 0;
	pin->event.pages += got;
	if (pin->host || bpf_probe_read_kernel(&page, sizeof(page), (void *)pages))
		return 0;
	host = host_of(page);
	if (!host)
		return 0;
	pin->host = (__u64)host;
	name_inode(&pin->event, host);
	pin->event.index = index_of(page);
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

/* umem_got is called at the return of a registration. */
static __always_inline int umem_got(struct pin *pin, __s64 umem)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct owner owner = {};

	pin->event.time_ns = bpf_ktime_get_ns();
	pin->event.folios = 0;
	pin->region.pinned_ns = pin->event.time_ns;
	if (is_error(umem)) {
		tell_pin(pin, KIND_REFUSED, umem);
	} else {
		/* Also one of anonymous memory, so that its release is known for what
		 * it is. */
		if (bpf_map_update_elem(&pins, &umem, pin, BPF_ANY))
			__sync_fetch_and_add(&lost_pins, 1);
		if (pin->region.access & WRITABLE_ACCESS && of_file(&pin->event)) {
			owner.process = pin->event.owner;
			owner.holder = HOLDER_UMEM;
			owner.cgroup = pin->event.cgroup;
			__builtin_memcpy(owner.comm, pin->event.owner_comm, sizeof(owner.comm));
			owns(&owner, pin->event.inode, pin->event.device);
			tell_pin(pin, KIND_PINNED, 0);
		}
	}
	bpf_map_delete_elem(&pinning, &tid);
	__sync_fetch_and_add(&pinning_now, -1);
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
SEC("kretprobe")
int umem_get_leave_mapped_kprobe(struct pt_regs *ctx)
{
	__s64 umem = PT_REGS_RC(ctx);
	struct pin *pin = current_pin();
	struct place place = {};

	if (!pin)
		return 0;
	if (is_error(umem) && !pin->host) {
		place.address = pin->region.address;
		bpf_find_vma(bpf_get_current_task_btf(), place.address, note_place, &place, 0);
		if (place.host) {
			name_inode(&pin->event, place.host);
			pin->event.index = place.index;
			pin->host = (__u64)place.host;
		}
	}
	return umem_got(pin, umem);
}

SEC("kretprobe")
int umem_get_leave_kprobe(struct pt_regs *ctx)
{
	struct pin *pin = current_pin();

	return pin ? umem_got(pin, PT_REGS_RC(ctx)) : 0;
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
	if (!bpf_core_type_exists(struct ib_mr) ||
	    BPF_CORE_READ(entry, type) != bpf_core_enum_value(enum rdma_restrack_type, RDMA_RESTRACK_MR))
		return 0;
	task = BPF_CORE_READ(entry, task);
	if (!task)
		return 0;
	mr = (void *)entry - bpf_core_field_offset(struct ib_mr, res);
	told = bpf_ringbuf_reserve(&events, sizeof(*told), 0);
	if (!told) {
		__sync_fetch_and_add(&lost_events, 1);
		return 0;
	}
	__builtin_memset(told, 0, sizeof(*told));
	told->event.time_ns = bpf_ktime_get_ns();
	told->event.kind = KIND_PINNED;
	told->event.holder = HOLDER_UMEM;
	told->event.state = RELEASE_UNSEEN;
	told->event.stack = NO_STACK;
	told->event.owner = BPF_CORE_READ(task, tgid);
	told->event.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_INTO(&told->event.owner_comm, task, group_leader, comm);
	told->event.pid = told->event.tid = told->event.owner; /* by whose call, nobody knows any more */
	__builtin_memcpy(told->event.comm, told->event.owner_comm, sizeof(told->event.comm));
	told->region.address = BPF_CORE_READ(mr, iova);
	told->region.length = BPF_CORE_READ(mr, length);
	bpf_probe_read_kernel_str(told->region.rdma, RDMA_NAME, BPF_CORE_READ(mr, device)->name);
	if (passes(&told->event))
		bpf_ringbuf_submit(told, 0);
	else
		bpf_ringbuf_discard(told, 0);
	return 0;
}

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

	if (pin && !(of_file(&pin->event) && pin->region.access & WRITABLE_ACCESS))
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
	told->event.state = 0;
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

/* void bio_set_pages_dirty(struct bio *): a direct read into memory is about to be
 * submitted. Nearly all are into anonymous memory, whose pages are nobody's to lose; the
 * first one tells. */
static __always_inline int submitted(struct bio *bio)
{
	struct bio_vec *first = BPF_CORE_READ(bio, bi_io_vec);
	struct inode *host = host_of((unsigned long)BPF_CORE_READ(first, bv_page));
	struct owner reader = {};
	struct event file = {};
	__u64 key = (__u64)bio;

	if (!host || !current_owner(&reader, HOLDER_DIO)) {
		bpf_map_delete_elem(&readers, &key); /* of an earlier bio in the same place */
		return 0;
	}
	bpf_map_update_elem(&readers, &key, &reader, BPF_ANY);
	name_inode(&file, host);
	owns(&reader, file.inode, file.device);
	return 0;
}

SEC("fentry")
int BPF_PROG(reader_fentry, struct bio *bio)
{
	return submitted(bio);
}

SEC("kprobe")
int reader_kprobe(struct pt_regs *ctx)
{
	return submitted((void *)PT_REGS_PARM1(ctx));
}

/* ssize_t nfs_file_direct_read(struct kiocb *, ...), in the name of whoever reads. */
static __always_inline int submitted_nfs(struct kiocb *iocb)
{
	__u64 key = (__u64)BPF_CORE_READ(iocb, ki_filp, f_inode);
	struct owner reader = {};

	if (current_owner(&reader, HOLDER_NFS))
		bpf_map_update_elem(&readers, &key, &reader, BPF_ANY);
	return 0;
}

SEC("fentry")
int BPF_PROG(nfs_reader_fentry, void *iocb)
{
	return submitted_nfs(iocb);
}

SEC("kprobe")
int nfs_reader_kprobe(struct pt_regs *ctx)
{
	return submitted_nfs((void *)PT_REGS_PARM1(ctx));
}

#endif
