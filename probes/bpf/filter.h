/* What is not wanted is passed over here, before it is counted. */
#ifndef UMEMSTRESS_FILTER_H
#define UMEMSTRESS_FILTER_H

/* What the filter asks for: of each kind that is set, the event must name one that
 * is listed. An event whose owner is not known is asked for the task that ran.
 * Detached pages have lost their file, and are not asked for it. */
enum filter_by {
	BY_PROCESS = 1,
	BY_CGROUP = 2,
	BY_FILE = 4,
	BY_DEVICE = 8,
};

/* filter_by in the low byte, the generation above it. Lists keep the generation
 * that they are for: a new filter is written beside the old one, and begins at once. */
volatile __u32 filter;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} only_process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} only_cgroup SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct file);
	__type(value, __u32);
} only_file SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} only_device SEC(".maps");

static __always_inline int listed(void *list, const void *key, __u32 generation)
{
	__u32 *of = bpf_map_lookup_elem(list, key);

	return of && *of == generation;
}

static __always_inline int passes(const struct event *event)
{
	__u32 now = filter, generation = now >> 8;
	struct file file = {.inode = event->inode, .device = event->device};

	if (!(now & 0xff))
		return 1;
	if (now & BY_PROCESS) {
		__u32 process = event->owner ? event->owner : event->pid;

		if (!listed(&only_process, &process, generation))
			return 0;
	}
	if (now & BY_CGROUP) {
		__u64 cgroup = event->owner ? event->cgroup : bpf_get_current_cgroup_id();

		if (!listed(&only_cgroup, &cgroup, generation))
			return 0;
	}
	if (!event->inode && !event->device)
		return 1;
	if (now & BY_FILE && !listed(&only_file, &file, generation))
		return 0;
	if (now & BY_DEVICE && !listed(&only_device, &file.device, generation))
		return 0;
	return 1;
}

#endif
