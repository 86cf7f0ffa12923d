// crowd: many processes that each pin a page of one file, all at once, for TestObserveCrowd.
//
//	cc -O2 -o bin/tests/crowd cmd/umemstress/testdata/crowd.c -libverbs
//	crowd DEVICE FILE PROCESSES	the file has a page for each of them
//
// It prints "pinned N" once all hold theirs, waits for the end of its standard input, has all let go at
// once, and prints "released N".
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

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

// A gate lets all through that wait at it: none of them ever gets a byte.
static void gate(int pipes[2])
{
	if (pipe(pipes))
		err(1, "pipe");
}

static void wait_at(int pipes[2])
{
	char byte;

	close(pipes[1]);
	if (read(pipes[0], &byte, 1) < 0)
		_exit(1);
}

static void open_gate(int pipes[2])
{
	close(pipes[0]);
	close(pipes[1]);
}

// told counts the processes that say that they are done, and ends with the first that failed.
static void told(int from, const char *what, int processes)
{
	for (int i = 0; i < processes; i++) {
		int failed = 0;
		if (read(from, &failed, sizeof failed) != sizeof failed)
			errx(1, "%s: %d of %d processes have done it, and the others are gone", what, i, processes);
		if (failed)
			errx(1, "%s: %d of %d processes have done it: %s", what, i, processes, strerror(failed));
	}
	printf("%s %d\n", what, processes);
	fflush(stdout);
}

static void say(int to, int failed)
{
	if (write(to, &failed, sizeof failed) != sizeof failed)
		_exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		errx(2, "crowd DEVICE FILE PROCESSES");
	int processes = atoi(argv[3]), fd = open(argv[2], O_RDWR), begin[2], end[2], done[2];
	if (fd < 0)
		err(1, "open %s", argv[2]);
	// A region is of the process that registers it, also where all have one context.
	struct ibv_pd *pd = ibv_alloc_pd(open_device(argv[1]));
	if (!pd)
		err(1, "ibv_alloc_pd");
	gate(begin);
	gate(end);
	gate(done);
	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork, after %d processes", i);
		if (pid > 0)
			continue;
		// Each maps its page alone: to clean a page, the kernel looks at all that map it.
		char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)i * PAGE);
		if (mem == MAP_FAILED)
			err(1, "mmap a page of %s", argv[2]);
		wait_at(begin);
		struct ibv_mr *mr = ibv_reg_mr(pd, mem, PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
		say(done[1], mr ? 0 : errno);
		if (!mr)
			_exit(1);
		wait_at(end);
		say(done[1], ibv_dereg_mr(mr));
		_exit(0);
	}
	close(done[1]);
	open_gate(begin);
	told(done[0], "pinned", processes);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	open_gate(end);
	told(done[0], "released", processes);
	while (wait(NULL) > 0)
		;
	return 0;
}
