/* Who submits a direct read that another task may complete. */
#ifndef UMEMSTRESS_READER_H
#define UMEMSTRESS_READER_H

/* void bio_set_pages_dirty(struct bio *): a direct read into memory is about to be
 * submitted. Nearly all are into anonymous memory, whose pages are nobody's to lose; the
 * first one tells. */
static __always_inline int submitted(struct bio *bio)
{
	struct bio_vec *first = BPF_CORE_READ(bio, bi_io_vec);
	struct inode *host = host_of((unsigned long)BPF_CORE_READ(first, bv_page));
	struct owner reader = {};
	struct event file = {};
	__u64 key = (__u64)bio;

	if (!host || !current_owner(&reader, HOLDER_DIO)) {
		bpf_map_delete_elem(&readers, &key); /* of an earlier bio in the same place */
		return 0;
	}
	bpf_map_update_elem(&readers, &key, &reader, BPF_ANY);
	name_inode(&file, host);
	owns(&reader, file.inode, file.device);
	return 0;
}

SEC("fentry")
int BPF_PROG(reader_fentry, struct bio *bio)
{
	return submitted(bio);
}

SEC("kprobe")
int reader_kprobe(struct pt_regs *ctx)
{
	return submitted((void *)PT_REGS_PARM1(ctx));
}

/* ssize_t nfs_file_direct_read(struct kiocb *, ...), in the name of whoever reads. */
static __always_inline int submitted_nfs(struct kiocb *iocb)
{
	__u64 key = (__u64)BPF_CORE_READ(iocb, ki_filp, f_inode);
	struct owner reader = {};

	if (current_owner(&reader, HOLDER_NFS))
		bpf_map_update_elem(&readers, &key, &reader, BPF_ANY);
	return 0;
}

SEC("fentry")
int BPF_PROG(nfs_reader_fentry, void *iocb)
{
	return submitted_nfs(iocb);
}

SEC("kprobe")
int nfs_reader_kprobe(struct pt_regs *ctx)
{
	return submitted_nfs((void *)PT_REGS_PARM1(ctx));
}

#endif
