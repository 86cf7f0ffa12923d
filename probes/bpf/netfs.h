/* Direct reads through netfs: those from 9p since Linux 6.8, and of others that read so. */
#ifndef UMEMSTRESS_NETFS_H
#define UMEMSTRESS_NETFS_H

/* ssize_t netfs_unbuffered_read_iter_locked(struct kiocb *, struct iov_iter *): the kernel pins, has the
 * file system read, waits, and lets go, and the release pauses until it comes to that (netfs_rreq_terminated,
 * netfs_read_collection), so that what a fault of the pin dirties is not taken for the release's. What those
 * two do elsewhere is of reads into the page cache, whose pages they may mark dirty to have them written to
 * a cache on disk (fscache), and of reads that nobody waits for. */
static __always_inline int enter_netfs(void *ctx, __u64 frame)
{
	struct owner owner = {};
	struct release *release = begin(ctx, HOLDER_9P, frame, &owner);

	if (release)
		release->window = release->paused = 1;
	return 0;
}

SEC("fentry")
int netfs_enter_fentry(void *ctx)
{
	return enter_netfs(ctx, 0);
}

SEC("fexit")
int netfs_leave_fexit(void *ctx)
{
	return leave(HOLDER_9P, 0);
}

SEC("kprobe")
int netfs_enter_kprobe(struct pt_regs *ctx)
{
	return enter_netfs(ctx, PT_REGS_SP(ctx));
}

SEC("kretprobe")
int netfs_leave_kprobe(struct pt_regs *ctx)
{
	return leave(HOLDER_9P, PT_REGS_SP(ctx));
}

#endif
