/* The parts of the kernel that the probes read, and no more. Every field is
 * relocated by name against the running kernel's BTF (CO-RE), so offsets and
 * neighbours here mean nothing; names and types do. */
#ifndef UMEMSTRESS_KERNEL_H
#define UMEMSTRESS_KERNEL_H

/* bpf_tracing.h: name the registers as the kernel's own pt_regs does. */
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

/* arch/x86/include/asm/ptrace.h: a probe's context, whose layout is ABI and
 * is not relocated. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

#define __core __attribute__((preserve_access_index))

/* include/linux/page-flags.h: the bits move between kernels. */
enum pageflags {
	PG_dirty = 0,
	PG_head = 1,
	PG_private = 2,
	PG_uptodate = 3,
	PG_swapcache = 4,
	PG_swapbacked = 5,
};

/* Two low bits of a mapping: PAGE_MAPPING_FLAGS, now FOLIO_MAPPING_FLAGS. Any of
 * them set means that the page is anonymous, KSM's, or a driver's movable one,
 * and the rest is no address_space. */
#define MAPPING_FLAGS 3UL

/* include/linux/module.h */
struct module {
	char name[8]; /* longer, of course */
} __core;

/* include/linux/fs.h */
#define S_DAX (1U << 13) /* in inode.i_flags: a macro, so not relocated; 8192 since 4.0 gave it the name */

struct file_system_type {
	const char *name;
	struct module *owner; /* 0: built in */
} __core;

struct super_block {
	__u32 s_dev; /* dev_t */
	struct file_system_type *s_type;
} __core;

struct hlist_node {
	struct hlist_node *next;
} __core;

struct hlist_head {
	struct hlist_node *first;
} __core;

struct inode {
	unsigned int i_flags;
	__u32 i_rdev; /* dev_t */
	struct super_block *i_sb;
	unsigned long i_ino;
	struct hlist_head i_dentry; /* its names */
} __core;

/* include/linux/dcache.h */
struct qstr {
	const unsigned char *name;
} __core;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	union {
		struct hlist_node d_alias; /* in inode.i_dentry */
	} d_u;
} __core;

/* where the union has no name: 7.2 */
struct dentry___flat {
	struct hlist_node d_alias;
} __core;

struct address_space {
	struct inode *host;
} __core;

/* ours has the name already */
struct file___open {
	struct inode *f_inode;
} __core;

struct kiocb {
	struct file___open *ki_filp;
} __core;

#define PAGE_SHIFT 12 /* arch/x86/include/asm/page_types.h */

/* include/linux/mm_types.h */
struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_pgoff;
	struct file___open *vm_file; /* 0: anonymous */
} __core;

/* include/linux/kernfs.h, cgroup-defs.h */
struct kernfs_node {
	__u64 id;
} __core;

struct cgroup {
	struct kernfs_node *kn;
} __core;

struct css_set {
	struct cgroup *dfl_cgrp; /* in the unified hierarchy */
} __core;

/* include/linux/sched.h */
struct task_struct {
	unsigned int flags;
	int exit_code;
	int tgid;
	struct task_struct *group_leader;
	struct css_set *cgroups;
	char comm[16];
} __core;

/* include/linux/bvec.h, blk_types.h */
struct bio_vec {
	struct page *bv_page;
} __core;

struct bio {
	struct bio_vec *bi_io_vec;
} __core;

/* include/rdma/ib_verbs.h */
struct ib_device {
	char name[64];
} __core;

struct ib_pd {
	struct ib_device *device;
} __core;

/* include/rdma/restrack.h */
enum rdma_restrack_type {
	RDMA_RESTRACK_MR = 4,
};

struct rdma_restrack_entry {
	_Bool valid;
	enum rdma_restrack_type type;
	struct task_struct *task; /* 0: of the kernel's own */
	__u32 id;
} __core;

struct ib_mr {
	struct ib_device *device;
	__u64 iova;
	__u64 length;
	struct rdma_restrack_entry res;
} __core;

/* include/linux/workqueue.h, workqueue_types.h: only where it is is of use */
struct work_struct {
	int unused[1];
} __core;

/* include/net/xdp_sock.h */
struct xdp_umem {
	__u32 npgs;
	struct page **pgs;
	struct work_struct work;
} __core;

/* include/linux/mutex.h, mutex_types.h: only its size is of use */
struct mutex {
	int unused[1];
} __core;

/* include/linux/types.h */
typedef struct {
	int counter;
} atomic_t;

/* include/linux/mm_types.h */
struct page {
	unsigned long flags;
	struct address_space *mapping;
	unsigned long index;
	unsigned long compound_head; /* of a tail page: its head's address + 1; else another field */
	atomic_t _refcount;
} __core;

/* what compound_head is since 7.2 */
struct page___info {
	unsigned long compound_info;
} __core;

/* what index is since 6.17 */
struct page___renamed {
	unsigned long __folio_index;
} __core;

/* where there is one; read only where pages, not folios, are dirtied */
struct page___compound {
	unsigned int compound_nr; /* of the first tail page */
} __core;

/* since 5.16 */
struct folio {
	unsigned long flags;
	struct address_space *mapping;
	unsigned long index;
	unsigned int _folio_nr_pages; /* of a large folio: 5.18 to 6.14 */
	atomic_t _refcount;
} __core;

/* of a large folio, since 6.1 */
struct folio___pins {
	atomic_t _pincount;
} __core;

/* since 6.18 */
typedef struct {
	unsigned long f;
} memdesc_flags_t;

struct folio___memdesc {
	memdesc_flags_t flags;
} __core;

/* since 6.15 */
struct folio___renamed {
	unsigned int _nr_pages;
} __core;

#endif
