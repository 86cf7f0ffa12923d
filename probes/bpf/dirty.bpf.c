/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Pages that the release of a holder dirties, seen from inside the kernel.
 *
 *   enter ──> page or folio dirtied, one by one ──> leave
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
#include "run.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* The release that the current task is in, if any. */
static __always_inline struct release *current_release(void)
{
	__u32 tid;

	if (!active)
		return 0;
	tid = bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&releases, &tid);
}

static __always_inline int enter(enum holder holder, __u64 frame)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct release *stale = bpf_map_lookup_elem(&releases, &tid);
	struct release fresh = {};

	fresh.run.pid = id >> 32;
	fresh.run.tid = tid;
	fresh.run.holder = holder;
	fresh.frame = frame;
	bpf_get_current_comm(fresh.run.comm, sizeof(fresh.run.comm));
	if (stale) {
		/* Its return was missed: what the task dirtied since may not be
		 * the release's. */
		__sync_fetch_and_add(&lost_releases, 1);
		end_run(stale);
		bpf_map_update_elem(&releases, &tid, &fresh, BPF_ANY);
		return 0;
	}
	if (bpf_map_update_elem(&releases, &tid, &fresh, BPF_NOEXIST)) {
		__sync_fetch_and_add(&lost_releases, 1);
		return 0;
	}
	__sync_fetch_and_add(&active, 1);
	return 0;
}

static __always_inline void end_release(struct release *release)
{
	__u32 tid = bpf_get_current_pid_tgid();

	end_run(release);
	bpf_map_delete_elem(&releases, &tid);
	__sync_fetch_and_add(&active, -1);
}

static __always_inline int leave(void)
{
	struct release *release = current_release();

	if (release)
		end_release(release);
	return 0;
}

/* Releases that dirty nothing are not entered, and must not end the one that
 * they interrupt: a bio that completes in an interrupt does so in the name of
 * whatever task it finds. fexit is given the arguments to tell them by;
 * kretprobe is not, and tells them by their place on the stack, which is within
 * some words of where the entry was (and by far more below it in whatever the
 * release calls, or on another stack in an interrupt). */
#define SAME_FRAME 256

static __always_inline int leave_frame(__u64 frame)
{
	struct release *release = current_release();

	if (release && frame - release->frame + SAME_FRAME <= 2 * SAME_FRAME)
		end_release(release);
	return 0;
}

/* void ib_umem_release(struct ib_umem *), and __ib_umem_release. */
SEC("fentry")
int umem_enter_fentry(void *ctx)
{
	return enter(HOLDER_UMEM, 0);
}

SEC("fexit")
int umem_leave_fexit(void *ctx)
{
	return leave();
}

SEC("kprobe")
int umem_enter_kprobe(struct pt_regs *ctx)
{
	return enter(HOLDER_UMEM, PT_REGS_SP(ctx));
}

/* Of every holder. */
SEC("kretprobe")
int release_leave_kprobe(struct pt_regs *ctx)
{
	return leave_frame(PT_REGS_SP(ctx));
}

/* void __bio_release_pages(struct bio *, bool mark_dirty), and bio_release_pages.
 * A bool is the low byte of what it is passed in. */
SEC("fentry")
int BPF_PROG(bio_enter_fentry, void *bio, __u64 mark_dirty)
{
	return mark_dirty & 0xff ? enter(HOLDER_DIO, 0) : 0;
}

SEC("fexit")
int BPF_PROG(bio_leave_fexit, void *bio, __u64 mark_dirty)
{
	return mark_dirty & 0xff ? leave() : 0;
}

SEC("kprobe")
int bio_enter_kprobe(struct pt_regs *ctx)
{
	return PT_REGS_PARM2(ctx) & 0xff ? enter(HOLDER_DIO, PT_REGS_SP(ctx)) : 0;
}

/* void unpin_user_pages_dirty_lock(struct page **, unsigned long, bool make_dirty) */
SEC("fentry")
int BPF_PROG(unpin_enter_fentry, void *pages, __u64 number, __u64 make_dirty)
{
	return make_dirty & 0xff ? enter(HOLDER_VMWRITEV, 0) : 0;
}

SEC("fexit")
int BPF_PROG(unpin_leave_fexit, void *pages, __u64 number, __u64 make_dirty)
{
	return make_dirty & 0xff ? leave() : 0;
}

SEC("kprobe")
int unpin_enter_kprobe(struct pt_regs *ctx)
{
	return PT_REGS_PARM3(ctx) & 0xff ? enter(HOLDER_VMWRITEV, PT_REGS_SP(ctx)) : 0;
}

/* A task that dies inside the release (BUG, oops) never returns from it. */
SEC("raw_tp/sched_process_exit")
int release_abandoned(void *ctx)
{
	return leave();
}

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
	if (as_number(release, (void *)page->compound_head) & 1 || PAGE_FLAG(page->flags, PG_head))
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

#define FOLIO_FLAGS(read, folio)                                                         \
	(bpf_core_field_exists(((struct folio___memdesc *)0)->flags.f)                   \
		 ? read((struct folio___memdesc *)(folio), flags.f)                      \
		 : read(folio, flags))

#define FOLIO_PAGES(read, folio, flags)                                                  \
	(!PAGE_FLAG(flags, PG_head) ? 1                                                  \
	 : bpf_core_field_exists(((struct folio___renamed *)0)->_nr_pages)               \
		 ? read((struct folio___renamed *)(folio), _nr_pages)                    \
		 : read(folio, _folio_nr_pages))

#define DIRECT(folio, field) ((folio)->field)

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
