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
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
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
};

/* include/linux/fs.h */
struct super_block {
	__u32 s_dev; /* dev_t */
} __core;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} __core;

struct address_space {
	struct inode *host;
} __core;

/* include/linux/mm_types.h */
struct page {
	unsigned long flags;
	struct address_space *mapping;
	unsigned long index;
} __core;

/* since 5.16 */
struct folio {
	unsigned long flags;
	unsigned long index;
	unsigned int _folio_nr_pages; /* of a large folio: 5.18 to 6.14 */
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
