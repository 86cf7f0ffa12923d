/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * Pages that the release of a pinned region hands to the file system's dirty
 * hook, seen from inside the kernel.
 *
 *   release_enter ──> dirty_page or dirty_folio, per page ──> release_leave
 *
 * A task between enter and leave has an entry in `releases`; in any other task
 * the hook is of no interest. Consecutive pages in the same state make one run,
 * so that a region of a million pages costs one event, one stack and one update
 * of the counts, and the work per page is a lookup and a read.
 */
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

enum holder {
	HOLDER_UMEM = 1,
};

enum page_state {
	PAGE_BUFFERLESS = 1,  /* PG_private clear: no buffers attached */
	PAGE_UNANNOUNCED = 2, /* PG_dirty clear: cleaned, and write-protected by that, since the file system last heard of it */
};

/* One record of the ring. Package event decodes it. */
struct event {
	__u64 time_ns;
	__u64 inode;
	__u64 index;
	__u64 pages;
	__u32 device;
	enum page_state state; /* or-ed */
	enum holder holder;
	__s32 stack; /* id in stacks, or a negative errno */
	__u32 pid;
	__u32 tid;
	char comm[16];
};

/* A release in progress. */
struct release {
	struct event run; /* being gathered; no run while pages is 0 */
	__u64 mapping;    /* the run's file */
	__u64 next;       /* the index that would continue the run */
};

struct file {
	__u64 inode;
	__u32 device;
	__u32 pad;
};

struct count {
	__u64 dirtied;
	__u64 bufferless;
	__u64 unannounced;
};

/* Not an LRU map: evicting a release in progress would lose its run unseen.
 * release_abandoned takes out what a dying task leaves behind. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* thread id */
	__type(value, struct release);
} releases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct file);
	__type(value, struct count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 256);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 32 * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Every loss, by what it costs. */
__u64 lost_events;   /* runs that found the ring full */
__u64 lost_pages;    /* pages that found counts full, or could not be read */
__u64 lost_releases; /* releases that found `releases` full */
__u64 lost_stacks;   /* runs whose stack found no place */

/* Releases in progress anywhere: while there is none, the hook returns before
 * it has looked anything up. */
__u64 active;

/* Set before loading: 0 leaves stacks out. */
const volatile __u32 want_stacks = 1;

static __always_inline void count_run(const struct event *run)
{
	struct file file = {.inode = run->inode, .device = run->device};
	struct count *count = bpf_map_lookup_elem(&counts, &file);

	if (!count) {
		struct count none = {};

		/* Another task may have been faster; then its entry is as good. */
		bpf_map_update_elem(&counts, &file, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &file);
		if (!count) {
			__sync_fetch_and_add(&lost_pages, run->pages);
			return;
		}
	}
	__sync_fetch_and_add(&count->dirtied, run->pages);
	if (run->state & PAGE_BUFFERLESS)
		__sync_fetch_and_add(&count->bufferless, run->pages);
	if (run->state & PAGE_UNANNOUNCED)
		__sync_fetch_and_add(&count->unannounced, run->pages);
}

static __always_inline void end_run(struct release *release)
{
	if (!release->run.pages)
		return;
	count_run(&release->run);
	if (bpf_ringbuf_output(&events, &release->run, sizeof(release->run), 0))
		__sync_fetch_and_add(&lost_events, 1);
	release->run.pages = 0;
}

static __always_inline void begin_run(void *ctx, struct release *release, struct address_space *mapping, __u64 index,
				      __u64 pages, enum page_state state)
{
	/* The mapping names one file for as long as the release lasts, since a
	 * page pinned in it keeps it until the page is unpinned. */
	if (release->mapping != (__u64)mapping) {
		struct inode *host = BPF_CORE_READ(mapping, host);

		release->mapping = (__u64)mapping;
		release->run.inode = BPF_CORE_READ(host, i_ino);
		release->run.device = BPF_CORE_READ(host, i_sb, s_dev);
	}
	release->run.time_ns = bpf_ktime_get_ns();
	release->run.index = index;
	release->run.pages = pages;
	release->run.state = state;
	release->next = index + pages;
	release->run.stack = -1;
	if (want_stacks) {
		release->run.stack = bpf_get_stackid(ctx, &stacks, 0);
		if (release->run.stack < 0)
			__sync_fetch_and_add(&lost_stacks, 1);
	}
}

/* The release that the current task is in, if any. */
static __always_inline struct release *current_release(void)
{
	__u32 tid;

	if (!active)
		return 0;
	tid = bpf_get_current_pid_tgid();
	return bpf_map_lookup_elem(&releases, &tid);
}

static __always_inline __u32 state_of(unsigned long flags)
{
	__u32 state = 0;

	if (!(flags & (1UL << bpf_core_enum_value(enum pageflags, PG_private))))
		state |= PAGE_BUFFERLESS;
	if (!(flags & (1UL << bpf_core_enum_value(enum pageflags, PG_dirty))))
		state |= PAGE_UNANNOUNCED;
	return state;
}

static __always_inline void dirtied(void *ctx, struct release *release, struct address_space *mapping, __u64 index,
				    __u64 pages, enum page_state state)
{
	if (release->run.pages && release->mapping == (__u64)mapping && release->next == index &&
	    release->run.state == state) {
		release->run.pages += pages;
		release->next += pages;
		return;
	}
	end_run(release);
	begin_run(ctx, release, mapping, index, pages, state);
}

static __always_inline int enter(enum holder holder)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct release *stale = bpf_map_lookup_elem(&releases, &tid);
	struct release fresh = {};

	fresh.run.pid = id >> 32;
	fresh.run.tid = tid;
	fresh.run.holder = holder;
	bpf_get_current_comm(fresh.run.comm, sizeof(fresh.run.comm));
	if (stale) {
		/* Its return was missed. */
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

static __always_inline int leave(void)
{
	struct release *release = current_release();
	__u32 tid = bpf_get_current_pid_tgid();

	if (!release)
		return 0;
	end_run(release);
	bpf_map_delete_elem(&releases, &tid);
	__sync_fetch_and_add(&active, -1);
	return 0;
}

SEC("fentry")
int release_enter_fentry(void *ctx)
{
	return enter(HOLDER_UMEM);
}

SEC("fexit")
int release_leave_fexit(void *ctx)
{
	return leave();
}

SEC("kprobe")
int release_enter_kprobe(void *ctx)
{
	return enter(HOLDER_UMEM);
}

SEC("kretprobe")
int release_leave_kprobe(void *ctx)
{
	return leave();
}

/* A task that dies inside the release (BUG, oops) never returns from it. */
SEC("raw_tp/sched_process_exit")
int release_abandoned(void *ctx)
{
	return leave();
}

/* Up to 5.17: int set_page_dirty(struct page *). */
SEC("fentry")
int BPF_PROG(dirty_page_fentry, struct page *page)
{
	struct release *release = current_release();

	if (release)
		dirtied(ctx, release, page->mapping, page->index, 1, state_of(page->flags));
	return 0;
}

/* A kprobe reads through a helper, which costs more than all else that is done
 * for a page: so the page is read once as a whole. */
#define PAGE_FIELD(copy, field) (*(unsigned long *)((char *)(copy) + bpf_core_field_offset(struct page, field)))

SEC("kprobe")
int dirty_page_kprobe(struct pt_regs *ctx)
{
	struct release *release = current_release();
	unsigned long page[8];

	if (!release)
		return 0;
	if (bpf_probe_read_kernel(page, sizeof(page), (void *)PT_REGS_PARM1(ctx))) {
		__sync_fetch_and_add(&lost_pages, 1);
		return 0;
	}
	dirtied(ctx, release, (void *)PAGE_FIELD(page, mapping), PAGE_FIELD(page, index), 1,
		state_of(PAGE_FIELD(page, flags)));
	return 0;
}

/* Since 5.18: bool dirty_folio(struct address_space *, struct folio *). */
#define FOLIO_FLAGS(read, folio)                                                         \
	(bpf_core_field_exists(((struct folio___memdesc *)0)->flags.f)                   \
		 ? read((struct folio___memdesc *)(folio), flags.f)                      \
		 : read(folio, flags))

#define FOLIO_PAGES(read, folio, flags)                                                  \
	(!((flags) & (1UL << bpf_core_enum_value(enum pageflags, PG_head))) ? 1          \
	 : bpf_core_field_exists(((struct folio___renamed *)0)->_nr_pages)               \
		 ? read((struct folio___renamed *)(folio), _nr_pages)                    \
		 : read(folio, _folio_nr_pages))

#define DIRECT(folio, field) ((folio)->field)

SEC("fentry")
int BPF_PROG(dirty_folio_fentry, struct address_space *mapping, struct folio *folio)
{
	struct release *release = current_release();
	unsigned long flags;

	if (!release)
		return 0;
	flags = FOLIO_FLAGS(DIRECT, folio);
	dirtied(ctx, release, mapping, folio->index, FOLIO_PAGES(DIRECT, folio, flags), state_of(flags));
	return 0;
}

SEC("kprobe")
int dirty_folio_kprobe(struct pt_regs *ctx)
{
	struct address_space *mapping = (void *)PT_REGS_PARM1(ctx);
	struct folio *folio = (void *)PT_REGS_PARM2(ctx);
	struct release *release = current_release();
	unsigned long flags;

	if (!release)
		return 0;
	flags = FOLIO_FLAGS(BPF_CORE_READ, folio);
	dirtied(ctx, release, mapping, BPF_CORE_READ(folio, index), FOLIO_PAGES(BPF_CORE_READ, folio, flags),
		state_of(flags));
	return 0;
}
