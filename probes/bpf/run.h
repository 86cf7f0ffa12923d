/* Runs: consecutive pages of one file, dirtied by one release in one state. */
#ifndef UMEMSTRESS_RUN_H
#define UMEMSTRESS_RUN_H

static __always_inline void count_run(const struct event *run)
{
	struct file file = {.inode = run->inode, .device = run->device};
	struct count *count = bpf_map_lookup_elem(&counts, &file);

	if (!count) {
		struct count none = {};

		__builtin_memcpy(none.filesystem, run->filesystem, sizeof(none.filesystem));
		/* Another task may have been faster; then its entry is as good. */
		bpf_map_update_elem(&counts, &file, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &file);
		if (!count) {
			__sync_fetch_and_add(&lost_pages, run->pages);
			return;
		}
	}
	__sync_fetch_and_add(&count->dirtied, run->pages);
	__sync_fetch_and_add(&count->dirtied_folios, run->folios);
	if (run->state & PAGE_BUFFERLESS) {
		__sync_fetch_and_add(&count->bufferless, run->pages);
		__sync_fetch_and_add(&count->bufferless_folios, run->folios);
	}
	if (run->state & PAGE_UNANNOUNCED)
		__sync_fetch_and_add(&count->unannounced, run->pages);
	if (run->state & PAGE_DETACHED)
		__sync_fetch_and_add(&count->detached, run->pages);
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

static __always_inline void begin_run(void *ctx, struct release *release, __u64 index, __u64 pages, __u32 state)
{
	release->run.time_ns = bpf_ktime_get_ns();
	release->run.index = index;
	release->run.pages = pages;
	release->run.folios = 1;
	release->run.state = state;
	release->next = index + pages;
	release->run.stack = -1;
	if (want_stacks) {
		release->run.stack = bpf_get_stackid(ctx, &stacks, 0);
		if (release->run.stack < 0)
			__sync_fetch_and_add(&lost_stacks, 1);
	}
}

/* "ext2", "ext3", "ext4" with its end, as the first 5 bytes of a name. */
static __always_inline int is_ext(const char *name, char version)
{
	return name[0] == 'e' && name[1] == 'x' && name[2] == 't' && name[3] == version && !name[4];
}

/* Tells whether ext4's code serves the file system. It drops a dirty page that
 * has no buffers; to others, ext2's own code among them, it is an ordinary
 * sight. Debian's ext4 serves ext2 and ext3, too (CONFIG_EXT4_USE_FOR_EXT2). If
 * it is built in, it cannot be told from ext2's own, and counts as that. */
static __always_inline int is_ext4(struct file_system_type *type, const char *name)
{
	struct module *owner;
	char module[8] = {};

	if (is_ext(name, '4'))
		return 1;
	if (!is_ext(name, '2') && !is_ext(name, '3'))
		return 0;
	owner = BPF_CORE_READ(type, owner);
	if (!owner)
		return 0;
	bpf_probe_read_kernel(module, sizeof(module), (char *)owner + bpf_core_field_offset(struct module, name));
	return is_ext(module, '4');
}

/* look_up names the file that the next runs are of. It is done once for a
 * mapping and not for a page, since it takes as long as ten pages. The mapping
 * names the same file as long as pages are found in it: a file that goes away
 * detaches its pages first. */
static __always_inline void look_up(struct release *release, unsigned long mapping)
{
	struct address_space *space = (void *)mapping;
	char *filesystem = release->run.filesystem;
	struct file_system_type *type;
	struct super_block *sb;
	struct inode *host;

	release->mapping = mapping;
	release->buffered = 0;
	release->run.inode = 0;
	release->run.device = 0;
	__builtin_memset(filesystem, 0, FILESYSTEM_NAME);
	if (!mapping)
		return;
	host = BPF_CORE_READ(space, host);
	sb = BPF_CORE_READ(host, i_sb);
	type = BPF_CORE_READ(sb, s_type);
	bpf_probe_read_kernel_str(filesystem, FILESYSTEM_NAME, BPF_CORE_READ(type, name));
	if (filesystem[0] == 'b' && filesystem[1] == 'd' && filesystem[2] == 'e' && filesystem[3] == 'v' &&
	    !filesystem[4]) {
		/* A block device itself. Its inode is the kernel's own; on 5.10
		 * all of them have the number 0. */
		release->run.device = BPF_CORE_READ(host, i_rdev);
		return;
	}
	release->run.inode = BPF_CORE_READ(host, i_ino);
	release->run.device = BPF_CORE_READ(sb, s_dev);
	release->buffered = is_ext4(type, filesystem) && !(BPF_CORE_READ(host, i_flags) & S_DAX);
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
static __always_inline unsigned long as_number(struct release *release, const void *pointer)
{
	*(volatile __u64 *)&release->number = (__u64)pointer;
	return *(volatile __u64 *)&release->number;
}

/* dirtied adds pages, as they are just before they are dirtied, to the run that
 * they continue, or begins a new one. */
static __always_inline void dirtied(void *ctx, struct release *release, struct address_space *space, __u64 index,
				    __u64 pages, unsigned long flags)
{
	unsigned long mapping = as_number(release, space);
	__u32 state = PAGE_UNANNOUNCED;

	if (mapping & MAPPING_FLAGS)
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
