// pin: what BenchmarkPin compares package rdma with. It registers so many regions with
// libibverbs, which share the memory, deregisters them, does so as often as it is told, and
// prints how long each of the two took in all, in nanoseconds.
//
//	cc -O2 -o bin/pin rdma/testdata/pin.c -libverbs
//	pin DEVICE BYTES REGIONS ROUNDS fresh|touched [FILE]
//
// The memory is anonymous, unless there is a FILE, and has its pages before (touched) or not.
#include <err.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct ibv_context *open_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	if (!list)
		err(1, "ibv_get_device_list");
	for (int i = 0; list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name)) {
			struct ibv_context *context = ibv_open_device(list[i]);
			if (!context)
				err(1, "ibv_open_device %s", name);
			return context;
		}
	errx(1, "libibverbs has no device %s: apt-get install ibverbs-providers", name);
}

int main(int argc, char **argv)
{
	if (argc < 6)
		errx(2, "pin DEVICE BYTES REGIONS ROUNDS fresh|touched [FILE]");
	size_t length = strtoull(argv[2], NULL, 10), rounds = strtoull(argv[4], NULL, 10);
	size_t regions = strtoull(argv[3], NULL, 10), each = length / regions;
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (argc > 6) {
		flags = MAP_SHARED;
		fd = open(argv[6], O_RDWR);
		if (fd < 0)
			err(1, "open %s", argv[6]);
	}
	if (!strcmp(argv[5], "touched"))
		flags |= MAP_POPULATE;
	struct ibv_pd *pd = ibv_alloc_pd(open_device(argv[1]));
	if (!pd)
		err(1, "ibv_alloc_pd");
	void *mem = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (mem == MAP_FAILED)
		err(1, "mmap");

	// Once before, so that no time is spent on a library that is not loaded yet.
	static char warm[4096];
	struct ibv_mr *mr = ibv_reg_mr(pd, warm, sizeof warm, IBV_ACCESS_LOCAL_WRITE);
	if (!mr || ibv_dereg_mr(mr))
		err(1, "register one page");

	struct ibv_mr **all = calloc(regions, sizeof *all);
	if (!all)
		err(1, "calloc");
	long long pin = 0, release = 0;
	for (; rounds; rounds--) {
		long long start = now();
		for (size_t i = 0; i < regions; i++) {
			all[i] = ibv_reg_mr(pd, (char *)mem + i * each, each, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
			if (!all[i])
				err(1, "ibv_reg_mr");
		}
		long long pinned = now();
		for (size_t i = 0; i < regions; i++) {
			int failed = ibv_dereg_mr(all[i]);
			if (failed)
				errx(1, "ibv_dereg_mr: %s", strerror(failed));
		}
		pin += pinned - start;
		release += now() - pinned;
	}
	printf("%lld %lld\n", pin, release);
	return 0;
}
