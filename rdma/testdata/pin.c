// pin: what BenchmarkPin compares package rdma with. It registers a region with
// libibverbs, deregisters it, and prints how long each took, in nanoseconds.
//
//	cc -O2 -o bin/pin rdma/testdata/pin.c -libverbs
//	pin DEVICE BYTES [FILE]		anonymous memory, unless there is a FILE
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
	if (argc < 3)
		errx(2, "pin DEVICE BYTES [FILE]");
	size_t length = strtoull(argv[2], NULL, 10);
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (argc > 3) {
		flags = MAP_SHARED;
		fd = open(argv[3], O_RDWR);
		if (fd < 0)
			err(1, "open %s", argv[3]);
	}
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

	long long start = now();
	mr = ibv_reg_mr(pd, mem, length, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	long long pinned = now();
	if (!mr)
		err(1, "ibv_reg_mr");
	long long before = now();
	int failed = ibv_dereg_mr(mr);
	long long released = now();
	if (failed)
		errx(1, "ibv_dereg_mr: %s", strerror(failed));
	printf("%lld %lld\n", pinned - start, released - before);
	return 0;
}
