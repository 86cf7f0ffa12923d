/* What the probes gather: events, counts, releases in progress, and losses. */
#ifndef UMEMSTRESS_EVENTS_H
#define UMEMSTRESS_EVENTS_H

/* Whose release a page was dirtied in. A session watches one of them. */
enum holder {
	HOLDER_UMEM = 1,     /* RDMA region: ib_umem_release */
	HOLDER_DIO = 2,      /* direct read: __bio_release_pages */
	HOLDER_VMWRITEV = 3, /* process_vm_writev: unpin_user_pages_dirty_lock */
};

enum page_state {
	PAGE_BUFFERLESS = 1,  /* PG_private clear in a file that ext4's code serves: no buffers attached */
	PAGE_UNANNOUNCED = 2, /* PG_dirty clear: cleaned, and write-protected by that, since the file system last heard of it */
	PAGE_DETACHED = 4,    /* taken out of its file, which is no longer known; excludes the others */
};

#define FILESYSTEM_NAME 16

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
	char filesystem[FILESYSTEM_NAME]; /* file_system_type.name */
	__u64 folios; /* that the pages are in: as many, where these are single ones */
};

/* A release in progress. */
struct release {
	struct event run; /* being gathered; no run while pages is 0 */
	__u64 mapping;    /* the run's file */
	__u64 next;       /* the index that would continue the run */
	__u64 frame;      /* the release's place on the stack, if it was entered by a kprobe */
	__u64 buffered;   /* not 0: the file's dirty pages must have buffers */
	__u64 number;     /* see as_number */
};

/* All 0: pages that had been detached. */
struct file {
	__u64 inode;
	__u32 device;
	__u32 pad;
};

struct count {
	__u64 dirtied;
	__u64 bufferless;
	__u64 unannounced;
	__u64 detached;
	__u64 dirtied_folios;
	__u64 bufferless_folios;
	char filesystem[FILESYSTEM_NAME];
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
__u64 lost_releases; /* releases that found `releases` full, or whose end was not seen */
__u64 lost_stacks;   /* runs whose stack found no place */

/* Releases in progress anywhere: while there is none, the dirty hook returns
 * before it has looked anything up. */
__u64 active;

/* Set before loading: 0 leaves stacks out. */
const volatile __u32 want_stacks = 1;

#endif
