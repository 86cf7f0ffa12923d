/* What the probes gather: events, counts, releases in progress, and losses. */
#ifndef UMEMSTRESS_EVENTS_H
#define UMEMSTRESS_EVENTS_H

/* Who holds the pages. Several may be watched at once. */
enum holder {
	HOLDER_NONE = 0,     /* not known: of what a worker did to a file that nobody was seen to pin */
	HOLDER_UMEM = 1,     /* RDMA region: ib_umem_release, or siw_umem_release */
	HOLDER_DIO = 2,      /* direct read: __bio_release_pages */
	HOLDER_VMWRITEV = 3, /* process_vm_writev: unpin_user_pages_dirty_lock */
	HOLDER_VMCI = 4,     /* VMCI queue pair: vmci_qp_broker_detach */
	HOLDER_NFS = 5,      /* direct read from NFS: nfs_direct_read_completion */
	HOLDER_FUSE = 6,     /* direct read from FUSE: fuse_release_user_pages, or fuse_direct_io */
	HOLDER_V4L2 = 7,     /* buffers of a V4L2 queue: __vb2_queue_free */
	HOLDER_XDP = 8,      /* umem of AF_XDP sockets: xdp_put_umem */
	HOLDER_9P = 9,       /* direct read through netfs, as 9p's: netfs_unbuffered_read_iter_locked */
};
#define HOLDERS 10

enum kind {
	KIND_DIRTIED = 1,  /* struct event: a run of pages that a release dirtied */
	KIND_STRIPPED = 2, /* struct event: the buffers of a pinned page, or of a folio's, are gone */
	KIND_DROPPED = 3,  /* struct event: writeback found a dirty page without buffers and dropped it */
	KIND_PINNED = 4,   /* struct pin_event: memory was pinned for long; RELEASE_UNSEEN: it is one of a list */
	KIND_REFUSED = 5,  /* struct pin_event: the kernel refused to pin some */
	KIND_RELEASED = 6, /* struct release_event: an RDMA region was released */
	KIND_NUMBERED = 7, /* struct number_event: the kernel gave an RDMA region that was pinned its number */
};

/* Of pages; and of a region, how it ended. */
enum state {
	PAGE_BUFFERLESS = 1,  /* PG_private clear in a file that ext4's code serves: no buffers attached */
	PAGE_UNANNOUNCED = 2, /* PG_dirty clear: cleaned, and write-protected by that, since the file system last heard of it */
	PAGE_DETACHED = 4,    /* taken out of its file, which is no longer known; excludes the others */
	RELEASE_EXITING = 8,  /* of KIND_RELEASED: its process ended, of the signal if that is not 0 */
	RELEASE_UNSEEN = 16,  /* nobody saw it pinned: before the session began, or when the table of pins was full */
	REGION_NUMBERED = 32, /* its number is known */
};

#define FILESYSTEM_NAME 16
#define RDMA_NAME 32
#define PATH_NAMES 8
#define PATH_NAME 40

/* What a record of the ring begins with; package event decodes it. Who did it
 * (pid, tid, comm) is the task that ran, and often one of the kernel's own. The
 * owner is the process that pinned the pages, 0 if it is not known. */
struct event {
	__u64 time_ns;
	enum kind kind;
	enum holder holder;
	enum state state; /* or-ed */
	__s32 stack; /* id in stacks, or a negative errno */
	__u64 inode;
	__u64 index;
	__u64 pages;
	__u64 folios; /* that the pages are in: as many, where these are single ones */
	__u32 device;
	__u32 pid;
	__u32 tid;
	__u32 owner;  /* thread group */
	__u64 cgroup; /* of the owner: its id in the unified hierarchy */
	char comm[16];
	char owner_comm[16];
	char filesystem[FILESYSTEM_NAME]; /* file_system_type.name */
};

/* Memory that is pinned for long: an RDMA region or, without the last two, that of another holder. */
struct region {
	__u64 address; /* in the owner's memory */
	__u64 length;
	__u64 pinned_ns; /* 0: not seen */
	__u32 access;    /* IB_ACCESS_*; of another holder IB_ACCESS_LOCAL_WRITE or nothing */
	__u32 number;    /* of REGION_NUMBERED: rdma_restrack_entry.id */
	char rdma[RDMA_NAME]; /* ib_device.name */
};

struct pin_event {
	struct event event;
	struct region region;
	__s32 error; /* of KIND_REFUSED: -errno */
	__u32 pad;
	char names[PATH_NAMES][PATH_NAME]; /* of the first page's file, upwards; "" ends them */
};

struct release_event {
	struct event event; /* pages: all that the release dirtied */
	struct region region;
	__u64 bufferless;
	__u64 unannounced;
	__u64 detached;
	__u32 signal;
	__u32 pad;
};

struct number_event {
	struct event event; /* of the pin */
	struct region region;
};

/* So that the object has their types, from which those in Go are made. */
struct pin_event *pin_event_type __attribute__((unused));
struct release_event *release_event_type __attribute__((unused));
struct number_event *number_event_type __attribute__((unused));

/* A process that holds pages. */
struct owner {
	__u32 process; /* thread group */
	enum holder holder;
	__u64 cgroup;
	char comm[16]; /* of the thread group's leader */
};

/* Memory that is pinned, or being pinned. */
struct pin {
	struct event event; /* of its first page that is a file's; device and inode are 0 if none is */
	struct region region;
	__u64 host;   /* its inode, for as long as the pages are certain to be pinned */
	__u64 pages;  /* where pointers to the pages of a part are being written, or the first queue of a pair */
	__u64 second; /* queue */
};

/* A region that a thread has pinned and that has no number yet. */
struct registration {
	__u64 umem;
	__u64 entry; /* struct rdma_restrack_entry; 0 until it is being given one */
};

struct tally {
	__u64 dirtied;
	__u64 bufferless;
	__u64 unannounced;
	__u64 detached;
	__u64 dirtied_folios;
	__u64 bufferless_folios;
	__u64 stripped;
	__u64 stripped_folios;
	__u64 dropped_folios; /* one warning of ext4 each */
};

/* Of a stack that nobody took yet, and a mapping that no page has. */
#define NO_STACK -1
#define NO_MAPPING 1

/* A release in progress. The outermost one owns the pages: what it calls may be
 * another holder's release, too (up to 5.12 ib_umem_release calls
 * unpin_user_pages_dirty_lock for each page), which neither begins nor ends it. */
struct release {
	struct event run;  /* being gathered; no run while pages is 0 */
	struct tally seen; /* since it was entered */
	__u64 mapping;     /* the run's file */
	__u64 next;        /* the index that would continue the run */
	__u64 frame;       /* the release's place on the stack, if it was entered by a kprobe */
	__u64 buffered;    /* not 0: the file's dirty pages must have buffers */
	__u64 region;      /* the struct ib_umem, or the struct siw_umem */
	__u64 number;      /* see as_number */
	__u32 muted;       /* the filter passes over the run's file */
	__u32 window;      /* of a call that pins, too: see paused */
	__u32 paused;      /* what is dirtied now is not by the release */
	__s32 stack;       /* from its entry; NO_STACK: none was taken there */
	__u32 known;       /* the owner is, whatever the file */
	__u32 siw;         /* it is siw's own: see siw.h */
};

/* All 0: pages that had been detached. */
struct file {
	__u64 inode;
	__u32 device;
	__u32 pad;
};

struct count_key {
	struct file file;
	__u32 process; /* the owner */
	enum holder holder;
	__u32 epoch; /* in which it was counted */
	__u32 pad;
};

struct count {
	struct tally tally;
	char filesystem[FILESYSTEM_NAME];
};

/* Who did what to pages of a file, and who owned them: 0 each where it is not known. */
struct act_key {
	struct file file;
	__u32 process; /* thread group of the task that ran */
	__u32 owner;
	enum kind kind;
	__u32 pad;
};

struct act {
	__u64 pages;
	__u64 folios;
	__u64 next; /* the index that would continue it */
	__u32 told; /* events */
	enum holder holder;
	char comm[16];
	char owner_comm[16];
};

struct stripping {
	__u64 address; /* of the page or the folio */
	__s32 stack;
	__u32 pad;
};

/* What new entries of maps begin as: there is no room for them on a program's stack. */
const struct release no_release = {};
const struct pin no_pin = {};
const struct count no_count = {};
const struct act no_act = {};

/* Not an LRU map: evicting a release in progress would lose its run unseen.
 * release_abandoned takes out what a dying task leaves behind. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* thread id */
	__type(value, struct release);
} releases SEC(".maps");

/* Memory being pinned, by thread id, and RDMA regions that are, by struct ib_umem or siw_umem. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct pin);
} pinning SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct pin);
} pins SEC(".maps");

/* By thread id. Memory is pinned for what gets no number, too, so that entries stay behind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct registration);
} registering SEC(".maps");

/* Pages that are pinned, and are being stripped of their buffers, by thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct stripping);
} strippings SEC(".maps");

/* Who submitted a direct read, by struct bio: a worker may complete it. Of one from NFS, by the
 * inode that is read, so that of several who read it the last one is taken; of one from FUSE, which
 * its server completes, by struct fuse_args; and who registered a umem of AF_XDP, by struct xdp_umem. Evicted
 * ones are released in the name of their file's owner. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct owner);
} readers SEC(".maps");

/* Who last pinned pages of a file, or let go of some: reclaim, writeback and
 * workers act on it in their own names. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct file);
	__type(value, struct owner);
} owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct count_key);
	__type(value, struct count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct act_key);
	__type(value, struct act);
} acts SEC(".maps");

/* Of two stacks whose hashes end alike the kernel keeps one. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 4096);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 32 * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* All that was counted, by holder, also what found `counts` full. Read through
 * the memory that it is in, which disturbs nothing. */
struct tally totals[HOLDERS];

/* RDMA regions, since a session began: of files, but for those that were refused. */
__u64 regions_pinned;
__u64 regions_refused;
__u64 regions_released;

/* Every loss, by what it costs. */
__u64 lost_events;   /* runs that found the ring full */
__u64 lost_pages;    /* pages that found counts full, or could not be read */
__u64 lost_releases; /* releases that found `releases` full, or whose end was not seen */
__u64 lost_stacks;   /* runs whose stack found no place */
__u64 lost_pins;     /* regions that found no place in pins or pinning */
__u64 lost_strips;   /* pages or folios that found no place in strippings */
__u64 lost_acts;     /* events that found acts full: who did it is among the events alone */

/* Releases in progress anywhere: while there is none, the dirty hook returns
 * before it has looked anything up. pinning_now and stripping_now
 * are the same of pins and strips. */
__u64 active;
__u64 pinning_now;
__u64 stripping_now;

/* Not 0 while the session asks the kernel for its list of regions, to see them pass. */
volatile __u32 listing;

/* Counts of an epoch come to rest soon after the next one has begun. */
volatile __u32 epoch;

/* Set before loading. */
const volatile __u32 want_stacks = 1;    /* 0 leaves stacks out */
const volatile __u32 want_regions = 0;   /* KIND_RELEASED of regions */
const volatile __u32 want_acts = 0;      /* sums by who acted, instead of an event for each page or folio */
const volatile __u32 umem_length = 24;   /* where struct ib_umem has its fields: the kernel may have no */
const volatile __u32 umem_address = 32;  /* types for it, and they have stood there since before 5.10 */

#endif
