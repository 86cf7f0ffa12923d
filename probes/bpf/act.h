/* Acts: what a process did to pages of a file, and whose they were. */
#ifndef UMEMSTRESS_ACT_H
#define UMEMSTRESS_ACT_H

/* How often an act of one kind is told, each time of the first of consecutive pages. Reclaim
 * that goes through a file in no order would be told for each of its pages otherwise. */
#define MOST_TOLD 64

/* did adds the event to what its actor has done, and tells whether it is to be sent: without
 * want_acts it always is, with it only where it continues nothing. A page at a time is
 * stripped and dropped, a million of a region, and who wants to know of each has to be as
 * fast as reclaim. */
static __always_inline int did(const struct event *event)
{
	struct act_key key = {
		.file = {.inode = event->inode, .device = event->device},
		.process = event->pid,
		.owner = event->owner,
		.kind = event->kind,
	};
	struct act *act;
	int continued;

	if (!want_acts)
		return 1;
	act = bpf_map_lookup_elem(&acts, &key);
	if (!act) {
		/* As with counts: another task's entry is as good. */
		bpf_map_update_elem(&acts, &key, &no_act, BPF_NOEXIST);
		act = bpf_map_lookup_elem(&acts, &key);
		if (!act) {
			__sync_fetch_and_add(&lost_acts, 1);
			return 1;
		}
		act->holder = event->holder;
		__builtin_memcpy(act->comm, event->comm, sizeof(act->comm));
		__builtin_memcpy(act->owner_comm, event->owner_comm, sizeof(act->owner_comm));
	}
	__sync_fetch_and_add(&act->pages, event->pages);
	__sync_fetch_and_add(&act->folios, event->folios);
	continued = act->told && act->next == event->index;
	act->next = event->index + event->pages;
	if (continued || act->told >= MOST_TOLD)
		return 0;
	act->told++;
	return 1;
}

#endif
