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
	event->stack = want_acts && event->kind == KIND_DROPPED ? NO_STACK : take_stack(ctx);
	send(event, sizeof(*event));
}

static __always_inline int stripped(void *ctx, struct address_space *space, __u64 index, __u64 pages)
{
	struct event event = {.kind = KIND_STRIPPED, .index = index, .pages = pages, .folios = 1};

	if (!space)
		return 0;
	name_inode(&event, BPF_CORE_READ(space, host));
	tell(ctx, &event);
	return 0;
}

/* Up to 5.17: int try_to_free_buffers(struct page *). It is called for pages that are
 * anybody's: the pin is asked for first. */
SEC("fexit")
int BPF_PROG(stripped_page_fexit, struct page *page, int freed)
{
	if (!(freed & 0xff) || page->_refcount.counter < PIN_BIAS)
		return 0;
	return stripped(ctx, page->mapping, page->index, 1);
}

/* Since 5.18: bool try_to_free_buffers(struct folio *). A large folio counts its pins. */
SEC("fexit")
int BPF_PROG(stripped_folio_fexit, struct folio *folio, int freed)
{
	unsigned long flags;

	if (!(freed & 0xff))
		return 0;
	flags = FOLIO_FLAGS(DIRECT, folio);
	if (!PAGE_FLAG(flags, PG_head)) {
		if (folio->_refcount.counter < PIN_BIAS)
			return 0;
	} else if (!bpf_core_field_exists(((struct folio___pins *)0)->_pincount) ||
		   ((struct folio___pins *)folio)->_pincount.counter <= 0) {
		return 0;
	}
	return stripped(ctx, folio->mapping, folio->index, FOLIO_PAGES(DIRECT, folio, flags));
}

const char dropped_format[] = "page %lu does not have buffers attached";

/* void __ext4_warning_inode(const struct inode *, const char *function, unsigned int line,
 * const char *format, ...): before the limit to its rate. mpage_prepare_extent_to_map
 * gives it this format and the page's index; for a large folio, once and its first. */
SEC("kprobe")
int dropped_kprobe(struct pt_regs *ctx)
{
	char format[sizeof(dropped_format)] = {};
	struct event event = {.kind = KIND_DROPPED, .pages = 1, .folios = 1};

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
