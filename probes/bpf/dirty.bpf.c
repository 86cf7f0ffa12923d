/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * What becomes of pages that a holder pins, seen from inside the kernel.
 *
 *   pinned ─> stripped ─> enter ─> dirtied, page by page ─> leave ─> dropped
 *   pin.h     lost.h      release.h        here                      lost.h
 *
 * A task between enter and leave has an entry in `releases`; in any other task
 * the dirty hook is of no interest. Consecutive pages in the same state make one
 * run, so that a region of a million pages costs one event, one stack and one
 * update of the counts, and the work per page is a lookup and a read.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "events.h"
#include "filter.h"
#include "owner.h"
#include "file.h"
#include "act.h"
#include "run.h"
#include "folio.h"
#include "release.h"
#include "pin.h"
#include "siw.h"
#include "reader.h"
#include "restrack.h"
#include "queue.h"
#include "vmci.h"
#include "xdp.h"
#include "fuse.h"
#include "netfs.h"
#include "lost.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* A probe that may not follow pointers reads through a helper, which costs more
 * than all else that is done for a page: so the page is read once as a whole. */
#define PAGE_FIELD(copy, field) (*(unsigned long *)((char *)(copy) + bpf_core_field_offset(struct page, field)))

/* Up to 5.15 any page of a compound one may be dirtied, and its head is meant. */
static __always_inline void dirtied_page(void *ctx, struct release *release, unsigned long address)
{
	unsigned long page[8], head, pages = 1;

	if (bpf_probe_read_kernel(page, sizeof(page), (void *)address))
		goto unreadable;
	head = PAGE_FIELD(page, compound_head);
	if (head & 1) {
		address = head - 1;
		if (bpf_probe_read_kernel(page, sizeof(page), (void *)address))
			goto unreadable;
	}
	if (PAGE_FLAG(PAGE_FIELD(page, flags), PG_head) &&
	    bpf_core_field_exists(((struct page___compound *)0)->compound_nr)) {
		struct page___compound *tail = (void *)(address + bpf_core_type_size(struct page));

		pages = BPF_CORE_READ(tail, compound_nr);
	}
	dirtied(ctx, release, (void *)PAGE_FIELD(page, mapping), PAGE_FIELD(page, index), pages, PAGE_FIELD(page, flags));
	return;
unreadable:
	__sync_fetch_and_add(&lost_pages, 1);
}

/* Up to 5.15: int set_page_dirty(struct page *), and ext4's own, which it calls. */
SEC("fentry")
int BPF_PROG(dirty_page_fentry, struct page *page)
{
	struct release *release = current_release();

	if (!release)
		return 0;
	/* To the verifier, what shares its place with compound_head is a pointer. */
	if (as_number(&release->number, (void *)page->compound_head) & 1 || PAGE_FLAG(page->flags, PG_head))
		dirtied_page(ctx, release, (unsigned long)page);
	else
		dirtied(ctx, release, page->mapping, page->index, 1, page->flags);
	return 0;
}

SEC("kprobe")
int dirty_page_kprobe(struct pt_regs *ctx)
{
	struct release *release = current_release();

	if (release)
		dirtied_page(ctx, release, PT_REGS_PARM1(ctx));
	return 0;
}

#define DIRTIED_FOLIO(read, ctx, folio)                                                                  \
	do {                                                                                             \
		struct release *release = current_release();                                             \
		unsigned long flags;                                                                     \
                                                                                                         \
		if (!release)                                                                            \
			return 0;                                                                        \
		flags = FOLIO_FLAGS(read, folio);                                                        \
		dirtied(ctx, release, read(folio, mapping), read(folio, index),                          \
			FOLIO_PAGES(read, folio, flags), flags);                                         \
		return 0;                                                                                \
	} while (0)

/* Since 5.16: bool folio_mark_dirty(struct folio *). */
SEC("fentry")
int BPF_PROG(dirty_folio_fentry, struct folio *folio)
{
	DIRTIED_FOLIO(DIRECT, ctx, folio);
}

SEC("kprobe")
int dirty_folio_kprobe(struct pt_regs *ctx)
{
	struct folio *folio = (void *)PT_REGS_PARM1(ctx);

	DIRTIED_FOLIO(BPF_CORE_READ, ctx, folio);
}

/* Since 5.18: bool ext4_dirty_folio(struct address_space *, struct folio *). */
SEC("fentry")
int BPF_PROG(ext4_folio_fentry, struct address_space *mapping, struct folio *folio)
{
	DIRTIED_FOLIO(DIRECT, ctx, folio);
}

SEC("kprobe")
int ext4_folio_kprobe(struct pt_regs *ctx)
{
	struct folio *folio = (void *)PT_REGS_PARM2(ctx);

	DIRTIED_FOLIO(BPF_CORE_READ, ctx, folio);
}
