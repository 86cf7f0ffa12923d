/* What pinned pages lose before and after their release: their buffers, and their bytes. */
#ifndef UMEMSTRESS_LOST_H
#define UMEMSTRESS_LOST_H

/* What FOLL_PIN adds to the references of a single page: GUP_PIN_COUNTING_BIAS
 * (include/linux/mm.h). A page mapped as often looks the same. */
#define PIN_BIAS 1024

/* tell counts and sends an event of a page, or of a folio, to which something happened that
 * nobody is to be blamed for but the owner of its file. */
static __always_inline void tell(void *ctx, struct event *event)
{
	struct count *count;
	struct tally *total;

	owner_of_file(event);
	if (!passes(event))
		return;
	event->time_ns = bpf_ktime_get_ns();
	set_actor(event);
	count = count_of(event);
	total = total_of(event);
	if (event->kind == KIND_DROPPED) {
		if (count)
			__sync_fetch_and_add(&count->tally.dropped_folios, 1);
		__sync_fetch_and_add(&total->dropped_folios, 1);
	} else {
		if (count) {
			__sync_fetch_and_add(&count->tally.stripped, event->pages);
			__sync_fetch_and_add(&count->tally.stripped_folios, 1);
		}
		__sync_fetch_and_add(&total->stripped, event->pages);
		__sync_fetch_and_add(&total->stripped_folios, 1);
	}
	if (!did(event))
		return;
	/* Who writes back does so from one place, which the kind tells already. */
	if (event->stack == NO_STACK && !(want_acts && event->kind == KIND_DROPPED))
		event->stack = take_stack(ctx);
	send(event, sizeof(*event));
}

static __always_inline int stripped(void *ctx, struct address_space *space, __u64 index, __u64 pages, __s32 stack)
{
	struct event event = {.kind = KIND_STRIPPED, .index = index, .pages = pages, .folios = 1, .stack = stack};

	if (!space)
		return 0;
	name_inode(&event, BPF_CORE_READ(space, host));
	tell(ctx, &event);
	return 0;
}

#define PAGE_PINNED(read, page) (read(page, _refcount.counter) >= PIN_BIAS)

/* A large folio counts its pins. */
#define FOLIO_PINNED(read, folio, flags)                                                 \
	(!PAGE_FLAG(flags, PG_head) ? PAGE_PINNED(read, folio)                           \
	 : bpf_core_field_exists(((struct folio___pins *)0)->_pincount) &&               \
		   read((struct folio___pins *)(folio), _pincount.counter) > 0)

/* try_to_free_buffers returns an int up to 5.17, and a bool since. */
#define FREED(result) ((result) & 0xff)

/* Up to 5.17: int try_to_free_buffers(struct page *). It is called for pages that are
 * anybody's: the pin is asked for first. */
SEC("fexit")
int BPF_PROG(stripped_page_fexit, struct page *page, int freed)
{
	if (!FREED(freed) || !PAGE_PINNED(DIRECT, page))
		return 0;
	return stripped(ctx, page->mapping, page->index, 1, NO_STACK);
}

/* Since 5.18: bool try_to_free_buffers(struct folio *). */
SEC("fexit")
int BPF_PROG(stripped_folio_fexit, struct folio *folio, int freed)
{
	unsigned long flags;

	if (!FREED(freed))
		return 0;
	flags = FOLIO_FLAGS(DIRECT, folio);
	if (!FOLIO_PINNED(DIRECT, folio, flags))
		return 0;
	return stripped(ctx, folio->mapping, folio->index, FOLIO_PAGES(DIRECT, folio, flags), NO_STACK);
}

/* A kretprobe is not given the arguments, so that the entry leaves them for it: of pages that
 * are pinned. */
static __always_inline int strip(void *ctx, __u64 address)
{
	struct stripping stripping = {.address = address, .stack = take_stack(ctx)};
	__u32 tid = bpf_get_current_pid_tgid();

	if (!bpf_map_update_elem(&strippings, &tid, &stripping, BPF_NOEXIST))
		__sync_fetch_and_add(&stripping_now, 1);
	else if (bpf_map_update_elem(&strippings, &tid, &stripping, BPF_EXIST))
		__sync_fetch_and_add(&lost_strips, 1);
	return 0;
}

/* The address of what the task has stripped. 0: nothing that is pinned. */
static __always_inline __u64 end_strip(__u64 freed, __s32 *stack)
{
	struct stripping *stripping;
	__u64 address;
	__u32 tid;

	if (!stripping_now)
		return 0;
	tid = bpf_get_current_pid_tgid();
	stripping = bpf_map_lookup_elem(&strippings, &tid);
	if (!stripping)
		return 0;
	address = stripping->address;
	*stack = stripping->stack;
	if (!bpf_map_delete_elem(&strippings, &tid))
		__sync_fetch_and_add(&stripping_now, -1);
	return FREED(freed) ? address : 0;
}

SEC("kprobe")
int strip_page_kprobe(struct pt_regs *ctx)
{
	struct page *page = (void *)PT_REGS_PARM1(ctx);

	return PAGE_PINNED(BPF_CORE_READ, page) ? strip(ctx, (__u64)page) : 0;
}

SEC("kretprobe")
int stripped_page_kprobe(struct pt_regs *ctx)
{
	__s32 stack = NO_STACK;
	struct page *page = (void *)end_strip(PT_REGS_RC(ctx), &stack);

	return page ? stripped(ctx, BPF_CORE_READ(page, mapping), BPF_CORE_READ(page, index), 1, stack) : 0;
}

SEC("kprobe")
int strip_folio_kprobe(struct pt_regs *ctx)
{
	struct folio *folio = (void *)PT_REGS_PARM1(ctx);
	unsigned long flags = FOLIO_FLAGS(BPF_CORE_READ, folio);

	return FOLIO_PINNED(BPF_CORE_READ, folio, flags) ? strip(ctx, (__u64)folio) : 0;
}

SEC("kretprobe")
int stripped_folio_kprobe(struct pt_regs *ctx)
{
	__s32 stack = NO_STACK;
	struct folio *folio = (void *)end_strip(PT_REGS_RC(ctx), &stack);
	unsigned long flags;

	if (!folio)
		return 0;
	flags = FOLIO_FLAGS(BPF_CORE_READ, folio);
	return stripped(ctx, BPF_CORE_READ(folio, mapping), BPF_CORE_READ(folio, index),
			FOLIO_PAGES(BPF_CORE_READ, folio, flags), stack);
}

const char dropped_format[] = "page %lu does not have buffers attached";

/* void __ext4_warning_inode(const struct inode *, const char *function, unsigned int line,
 * const char *format, ...): before the limit to its rate. mpage_prepare_extent_to_map
 * gives it this format and the page's index; for a large folio, once and its first. */
SEC("kprobe")
int dropped_kprobe(struct pt_regs *ctx)
{
	char format[sizeof(dropped_format)] = {};
	struct event event = {.kind = KIND_DROPPED, .pages = 1, .folios = 1, .stack = NO_STACK};

	if (bpf_probe_read_kernel_str(format, sizeof(format), (void *)PT_REGS_PARM4(ctx)) != sizeof(dropped_format))
		return 0;
	for (unsigned int i = 0; i < sizeof(dropped_format); i++)
		if (format[i] != dropped_format[i])
			return 0;
	name_inode(&event, (void *)PT_REGS_PARM1(ctx));
	event.index = PT_REGS_PARM5(ctx);
	tell(ctx, &event);
	return 0;
}

#endif
