/* Which file a page is of, and what the file system wants of its dirty pages. */
#ifndef UMEMSTRESS_FILE_H
#define UMEMSTRESS_FILE_H

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

/* name_inode fills in the event's file, and tells whether its dirty pages must
 * have buffers. */
static __always_inline int name_inode(struct event *event, struct inode *host)
{
	struct super_block *sb = BPF_CORE_READ(host, i_sb);
	struct file_system_type *type = BPF_CORE_READ(sb, s_type);
	char *filesystem = event->filesystem;

	bpf_probe_read_kernel_str(filesystem, FILESYSTEM_NAME, BPF_CORE_READ(type, name));
	if (filesystem[0] == 'b' && filesystem[1] == 'd' && filesystem[2] == 'e' && filesystem[3] == 'v' &&
	    !filesystem[4]) {
		/* A block device itself. Its inode is the kernel's own; on 5.10
		 * all of them have the number 0. */
		event->device = BPF_CORE_READ(host, i_rdev);
		return 0;
	}
	event->inode = BPF_CORE_READ(host, i_ino);
	event->device = BPF_CORE_READ(sb, s_dev);
	return is_ext4(type, filesystem) && !(BPF_CORE_READ(host, i_flags) & S_DAX);
}

/* head_of returns the first page of the compound page that a page is part of, or the
 * page itself. */
static __always_inline struct page *head_of(unsigned long address)
{
	struct page *page = (void *)address;
	unsigned long head;

	if (bpf_core_field_exists(((struct page___info *)0)->compound_info)) {
		/* Where a page's struct has a size that is a power of two, what
		 * tells the head is a mask of the tail's address. */
		__u64 size = bpf_core_type_size(struct page);

		head = BPF_CORE_READ((struct page___info *)page, compound_info);
		if (!(head & 1))
			return page;
		return (void *)(size & (size - 1) ? head - 1 : address & head);
	}
	head = BPF_CORE_READ(page, compound_head);
	return head & 1 ? (void *)(head - 1) : page;
}

/* host_of returns the inode of the file that a page is of. 0: it is anonymous, a
 * driver's, or nobody's. */
static __always_inline struct inode *host_of(unsigned long address)
{
	unsigned long mapping = (unsigned long)BPF_CORE_READ(head_of(address), mapping);

	if (!mapping || mapping & MAPPING_FLAGS)
		return 0;
	return BPF_CORE_READ((struct address_space *)mapping, host);
}

/* index_of returns a page's index in its file. Of a tail page, its head knows it. */
static __always_inline __u64 index_of(unsigned long address)
{
	struct page *head = head_of(address);
	__u64 index;

	if (bpf_core_field_exists(((struct page___renamed *)0)->__folio_index))
		index = BPF_CORE_READ((struct page___renamed *)head, __folio_index);
	else
		index = BPF_CORE_READ(head, index);
	return index + (address - (unsigned long)head) / bpf_core_type_size(struct page);
}

#endif
