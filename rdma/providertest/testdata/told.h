// Asynchronous events that no kernel tells of. The first takes the place of what the kernel tells: the descriptor that
// libibverbs reads them from becomes a pipe's.
#include <pthread.h>

static int told[2] = {-1, -1};
static struct ibv_context *told_to;
static uint64_t told_of[64]; // by event: whose it is
static unsigned tellings;

static void tell(struct ibv_context *context, struct ib_uverbs_async_event_desc *event)
{
	if (told_to != context) {
		if (pipe2(told, O_CLOEXEC | O_NONBLOCK) || dup3(told[0], context->async_fd, O_CLOEXEC) < 0)
			err(1, "a pipe for events");
		told_to = context;
		tellings = 0;
	}
	if (tellings == sizeof(told_of) / sizeof(*told_of))
		errx(1, "more than %u events", tellings);
	told_of[tellings++] = event->element;
	if (write(told[1], event, sizeof(*event)) != sizeof(*event))
		err(1, "write an event");
}

static void tell_no_more(struct ibv_context *context)
{
	if (told_to != context)
		return;
	close(told[0]);
	close(told[1]);
	told_to = NULL;
}

// unread takes those events of an object back that nobody has read, as the kernel does when it ends, and says how many.
static unsigned unread(uint64_t of)
{
	struct ib_uverbs_async_event_desc events[64];
	unsigned n = 0, dropped = 0;
	while (n < 64 && read(told[0], &events[n], sizeof(*events)) == sizeof(*events))
		if (events[n].element == of)
			dropped++;
		else
			n++;
	for (unsigned i = 0; i < n; i++)
		if (write(told[1], &events[i], sizeof(*events)) != sizeof(*events))
			err(1, "write an event again");
	return dropped;
}

// await_acknowledged waits as libibverbs does, which knows only of what the kernel has told, until all events of an object are
// acknowledged that were read.
static void await_acknowledged(void *of, pthread_mutex_t *mutex, pthread_cond_t *cond, uint32_t *acknowledged)
{
	uint64_t element = (uintptr_t)of;
	unsigned due = 0;
	for (unsigned i = 0; i < tellings; i++)
		if (told_of[i] == element) {
			told_of[i] = 0;
			due++;
		}
	if (!due)
		return;
	due -= unread(element);
	pthread_mutex_lock(mutex);
	while (*acknowledged < due)
		pthread_cond_wait(cond, mutex);
	*acknowledged -= due;
	pthread_mutex_unlock(mutex);
}
