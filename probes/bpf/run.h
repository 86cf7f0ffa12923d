/* Runs: consecutive pages of one file, dirtied by one release in one state. */
#ifndef UMEMSTRESS_RUN_H
#define UMEMSTRESS_RUN_H

static __always_inline void add_pages(struct tally *to, const struct event *run)
{
	__sync_fetch_and_add(&to->dirtied, run->pages);
	__sync_fetch_and_add(&to->dirtied_folios, run->folios);
	if (run->state & PAGE_BUFFERLESS) {
		__sync_fetch_and_add(&to->bufferless, run->pages);
		__sync_fetch_and_add(&to->bufferless_folios, run->folios);
	}
	if (run->state & PAGE_UNANNOUNCED)
		__sync_fetch_and_add(&to->unannounced, run->pages);
	if (run->state & PAGE_DETACHED)
		__sync_fetch_and_add(&to->detached, run->pages);
}

/* count_of finds the count that the event is for. 0: there is no room for it. */
static __always_inline struct count *count_of(const struct event *event)
{
	struct count_key key = {
		.file = {.inode = event->inode, .device = event->device},
		.process = event->owner,
		.holder = event->holder,
		.epoch = epoch,
	};
	struct count *count = bpf_map_lookup_elem(&counts, &key);

	if (!count) {
		/* Another task may have been faster; then its entry is as good. */
		bpf_map_update_elem(&counts, &key, &no_count, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &key);
		if (count)
			__builtin_memcpy(count->filesystem, event->filesystem, sizeof(count->filesystem));
		else
			__sync_fetch_and_add(&lost_pages, event->pages);
	}
	return count;
}

static __always_inline struct tally *total_of(const struct event *event)
{
	__u32 holder = event->holder;

	if (holder >= HOLDERS) /* there is none: for the verifier */
		holder = HOLDER_NONE;
	return &totals[holder];
}

static __always_inline void send(void *event, __u64 size)
{
	if (bpf_ringbuf_output(&events, event, size, 0))
		__sync_fetch_and_add(&lost_events, 1);
}

static __always_inline void end_run(struct release *release)
{
	struct event *run = &release->run;
	struct count *count;

	if (!run->pages)
		return;
	if (!release->muted) {
		count = count_of(run);
		if (count)
			add_pages(&count->tally, run);
		add_pages(total_of(run), run);
		add_pages(&release->seen, run);
		did(run);
		send(run, sizeof(*run));
	}
	run->pages = 0;
}

static __always_inline void begin_run(void *ctx, struct release *release, __u64 index, __u64 pages, __u32 state)
{
	release->run.time_ns = bpf_ktime_get_ns();
	release->run.index = index;
	release->run.pages = pages;
	release->run.folios = 1;
	release->run.state = state;
	release->next = index + pages;
	release->run.stack = release->stack == NO_STACK ? take_stack(ctx) : release->stack;
}

/* look_up names the file that the next runs are of. It is done once for a
 * mapping and not for a page, since it takes as long as ten pages. The mapping
 * names the same file as long as pages are found in it: a file that goes away
 * detaches its pages first. */
static __always_inline void look_up(struct release *release, unsigned long mapping)
{
	struct event *run = &release->run;

	release->mapping = mapping;
	release->buffered = 0;
	run->inode = 0;
	run->device = 0;
	__builtin_memset(run->filesystem, 0, FILESYSTEM_NAME);
	if (mapping)
		release->buffered = name_inode(run, BPF_CORE_READ((struct address_space *)mapping, host));
	if (!release->known) { /* of another file there may have been another owner */
		run->owner = 0;
		owner_of_file(run);
	} else if (of_file(run)) {
		/* For writeback, which comes to the pages soon, and in its own name. */
		struct owner owner = {.process = run->owner, .holder = run->holder, .cgroup = run->cgroup};

		__builtin_memcpy(owner.comm, run->owner_comm, sizeof(owner.comm));
		owns(&owner, run->inode, run->device);
	}
	release->muted = !passes(run);
}

#define PAGE_FLAG(flags, name) (!!((flags) & (1UL << bpf_core_enum_value(enum pageflags, name))))

/* A page without a mapping has been detached from its file, unless it never had
 * one: a page that a driver made (never up to date), or one of tmpfs that moved
 * to the swap cache. Anonymous pages keep their mapping, flagged, until they
 * are freed. */
static __always_inline int detached(unsigned long flags)
{
	return PAGE_FLAG(flags, PG_uptodate) && !(PAGE_FLAG(flags, PG_swapbacked) && PAGE_FLAG(flags, PG_swapcache));
}

/* The verifier lets nobody look at the bits of what it takes for a pointer. Read
 * back from a map, it is a number. */
static __always_inline unsigned long as_number(__u64 *place, const void *pointer)
{
	*(volatile __u64 *)place = (__u64)pointer;
	return *(volatile __u64 *)place;
}

/* dirtied adds pages, as they are just before they are dirtied, to the run that
 * they continue, or begins a new one. */
static __always_inline void dirtied(void *ctx, struct release *release, struct address_space *space, __u64 index,
				    __u64 pages, unsigned long flags)
{
	unsigned long mapping = as_number(&release->number, space);
	__u32 state = PAGE_UNANNOUNCED;

	if (release->paused || mapping & MAPPING_FLAGS)
		return;
	/* Told, or counted when another release dirtied it: a large folio is
	 * dirtied as a whole for each bio that has a part of it, and
	 * __bio_release_pages (block/bio.c) does not ask first. */
	if (PAGE_FLAG(flags, PG_dirty))
		return;
	if (!mapping) {
		if (!detached(flags))
			return;
		state = PAGE_DETACHED;
	}
	if (release->mapping != mapping) {
		end_run(release);
		look_up(release, mapping);
	}
	if (mapping && release->buffered && !PAGE_FLAG(flags, PG_private))
		state |= PAGE_BUFFERLESS;
	if (release->run.pages && release->next == index && release->run.state == state) {
		release->run.pages += pages;
		release->run.folios++;
		release->next += pages;
		return;
	}
	end_run(release);
	begin_run(ctx, release, index, pages, state);
}

#endif
