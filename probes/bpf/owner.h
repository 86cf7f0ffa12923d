/* Who holds pages, and who acts on them. */
#ifndef UMEMSTRESS_OWNER_H
#define UMEMSTRESS_OWNER_H

/* include/linux/sched.h: macros, so not relocated; they have kept their values
 * since before 5.10. */
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

static __always_inline void set_actor(struct event *event)
{
	__u64 id = bpf_get_current_pid_tgid();

	event->pid = id >> 32;
	event->tid = id;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void set_owner(struct event *event, const struct owner *owner)
{
	event->owner = owner->process;
	event->cgroup = owner->cgroup;
	__builtin_memcpy(event->owner_comm, owner->comm, sizeof(event->owner_comm));
}

/* The current process, or none if the task is a thread of the kernel. A thread of
 * a program may have a name of its own (io_uring's do), so its leader's is taken. */
static __always_inline int current_owner(struct owner *owner, enum holder holder)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	owner->process = bpf_get_current_pid_tgid() >> 32;
	owner->holder = holder;
	owner->cgroup = bpf_get_current_cgroup_id();
	BPF_CORE_READ_INTO(&owner->comm, task, group_leader, comm);
	return 1;
}

/* Whoever was last seen to hold pages of the event's file. */
static __always_inline void owner_of_file(struct event *event)
{
	struct file file = {.inode = event->inode, .device = event->device};
	struct owner *owner = bpf_map_lookup_elem(&owners, &file);

	if (owner) {
		set_owner(event, owner);
		if (!event->holder)
			event->holder = owner->holder;
	}
}

static __always_inline void owns(const struct owner *owner, __u64 inode, __u32 device)
{
	struct file file = {.inode = inode, .device = device};

	bpf_map_update_elem(&owners, &file, owner, BPF_ANY);
}

static __always_inline int of_file(const struct event *event) { return event->inode || event->device; }

static __always_inline __s32 take_stack(void *ctx)
{
	__s32 id;

	if (!want_stacks)
		return NO_STACK;
	id = bpf_get_stackid(ctx, &stacks, 0);
	if (id < 0)
		__sync_fetch_and_add(&lost_stacks, 1);
	return id;
}

#endif
