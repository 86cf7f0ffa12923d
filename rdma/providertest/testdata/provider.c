// A provider of rdma-core's libibverbs that differs on purpose, for the tests of what stands on the library. The device and the
// kernel's driver are soft-RoCE's, and so are the queues: rdma_rxe's own provider is linked in, from the static library of
// libibverbs-dev. What it calls of libibverbs by the names that begin with differ_ comes here first (see the script build).
//
//	RDMAV_DRIVERS=/path/libdiffers UMEMSTRESS_PROVIDER=/path/knobs PROGRAM
//
// libibverbs tries the providers of the environment before those of /etc/libibverbs.d, so that this one gets the device.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_verbs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "knobs.h"
#include "told.h"

// The bits that keys are changed by. Local keys and remote ones get different ones.
enum { LOCAL_KEYS = 0x5a5a0000, REMOTE_KEYS = 0xa5a50000 };

static uint32_t none[LAST], *knobs = none;
static struct verbs_device_ops ops;	// rdma_rxe's, but for what is changed of them
static struct verbs_device_ops rxe;	// those of the device
static struct ibv_context_ops rxe_ops; // those of an open one

static uint32_t knob(enum knob k) { return __atomic_load_n(&knobs[k], __ATOMIC_SEQ_CST); }
static void count(enum knob k) { __atomic_fetch_add(&knobs[k], 1, __ATOMIC_SEQ_CST); }

// take gives a knob's value for this once.
static uint32_t take(enum knob k) { return knob(k) ? __atomic_exchange_n(&knobs[k], 0, __ATOMIC_SEQ_CST) : 0; }

static void __attribute__((constructor)) find_knobs(void)
{
	const char *name = getenv("UMEMSTRESS_PROVIDER");
	if (!name)
		return;
	int fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", name);
	knobs = mmap(NULL, sizeof(none), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (knobs == MAP_FAILED)
		err(1, "mmap %s", name);
	close(fd);
	knobs[KNOBS] = LAST;
}

static uint32_t local(uint32_t key) { return knob(KEYS) ? key ^ LOCAL_KEYS : key; }
static uint32_t remote(uint32_t key) { return knob(KEYS) ? key ^ REMOTE_KEYS : key; }

// kernel_port makes of the port that there is the kernel's, which is 1.
static bool kernel_port(uint8_t *port)
{
	if (!knob(PORT))
		return true;
	if (*port != knob(PORT))
		return false;
	*port = 1;
	return true;
}

// break_down takes a queue pair into the error state as a device does, without a word to libibverbs.
static void break_down(struct ibv_qp *qp)
{
	enum ibv_qp_state before = qp->state;
	struct ibv_qp_attr to = {.qp_state = IBV_QPS_ERR};
	if (ibv_modify_qp(qp, &to, IBV_QP_STATE))
		err(1, "ibv_modify_qp");
	qp->state = before;
}

// tell_of tells of what is to be told of, if it is time.
static void tell_of(struct ibv_context *context, struct ibv_qp *qp, struct ibv_srq *srq)
{
	if (!knob(EVENT) || knob(TAKEN) < knob(EVENT_AT))
		return;
	uint32_t type = take(EVENT) - 1;
	struct ib_uverbs_async_event_desc event = {.event_type = type, .element = knob(EVENT_PORT)};
	switch (type) {
	case IBV_EVENT_CQ_ERR:
		event.element = (uintptr_t)qp->send_cq;
		break;
	case IBV_EVENT_QP_FATAL ... IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		event.element = (uintptr_t)qp;
		break;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		event.element = (uintptr_t)srq;
	}
	tell(context, &event);
	if (type == IBV_EVENT_QP_FATAL)
		break_down(qp);
}

enum { PIECES = 64 };

static void copy_pieces(struct ibv_sge *to, const struct ibv_sge *from, int n)
{
	if (n > PIECES)
		errx(1, "a request of %d pieces", n);
	for (int i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].lkey = local(to[i].lkey);
	}
}

// taking says whether a post may go on, having taken n.
static bool taking(unsigned n)
{
	bool full = knob(FULL) && knob(TAKEN) >= knob(EVENT_AT);
	if (full)
		__atomic_fetch_sub(&knobs[FULL], 1, __ATOMIC_SEQ_CST);
	if (!full && (!knob(TAKE) || n < knob(TAKE)))
		return true;
	count(SHORT);
	return false;
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	static struct ibv_send_wr stray;
	if (knob(STRAY)) {
		*bad = &stray;
		return ENOMEM;
	}
	for (unsigned n = 0; wr; wr = wr->next, n++) {
		struct ibv_sge pieces[PIECES];
		struct ibv_send_wr one = *wr, *refused = NULL;
		if (!taking(n)) {
			*bad = wr;
			return ENOMEM;
		}
		count(TAKEN);
		tell_of(qp->context, qp, qp->srq);
		if (knob(UNGUARDED) && qp->state < IBV_QPS_RTS)
			continue;
		one.next = NULL;
		copy_pieces(one.sg_list = pieces, wr->sg_list, wr->num_sge);
		if (wr->opcode == IBV_WR_ATOMIC_CMP_AND_SWP || wr->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
			one.wr.atomic.rkey = remote(one.wr.atomic.rkey);
		else if (wr->opcode != IBV_WR_SEND && wr->opcode != IBV_WR_SEND_WITH_IMM)
			one.wr.rdma.rkey = remote(one.wr.rdma.rkey);
		int status = rxe_ops.post_send(qp, &one, &refused);
		if (status) {
			*bad = refused ? wr : wr->next; // else it was taken, and the device not told
			return abs(status);
		}
	}
	return 0;
}

// A queue that receives are posted to: of a queue pair, or shared.
struct inbox {
	struct ibv_qp *qp;
	struct ibv_srq *srq;
};

static int post_receives(struct inbox to, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	for (unsigned n = 0; wr; wr = wr->next, n++) {
		struct ibv_sge pieces[PIECES];
		struct ibv_recv_wr one = *wr, *refused;
		if (!taking(n)) {
			*bad = wr;
			return ENOMEM;
		}
		count(TAKEN);
		if (knob(UNGUARDED) && to.qp && to.qp->state < IBV_QPS_INIT)
			continue;
		one.next = NULL;
		copy_pieces(one.sg_list = pieces, wr->sg_list, wr->num_sge);
		int status = to.qp ? rxe_ops.post_recv(to.qp, &one, &refused) : rxe_ops.post_srq_recv(to.srq, &one, &refused);
		if (status) {
			*bad = wr;
			return abs(status);
		}
	}
	return 0;
}

static int post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	return post_receives((struct inbox){.qp = qp}, wr, bad);
}

static int post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	return post_receives((struct inbox){.srq = srq}, wr, bad);
}

// spoil fills what means nothing in a completion, as man 3 ibv_poll_cq has it.
static void spoil(struct ibv_wc *wc)
{
	struct ibv_wc junk;
	memset(&junk, 0xa5, sizeof(junk));
	junk.wr_id = wc->wr_id;
	junk.status = wc->status;
	junk.qp_num = wc->qp_num;
	if (wc->status == IBV_WC_SUCCESS) {
		junk.opcode = wc->opcode;
		junk.wc_flags = wc->wc_flags | IBV_WC_IP_CSUM_OK;
		if (wc->opcode & IBV_WC_RECV || wc->opcode == IBV_WC_RDMA_READ)
			junk.byte_len = wc->byte_len;
		if (wc->wc_flags & IBV_WC_WITH_IMM)
			junk.imm_data = wc->imm_data;
	}
	*wc = junk;
}

static int poll_cq(struct ibv_cq *cq, int room, struct ibv_wc *wc)
{
	if (knob(AT_ONCE) && room > (int)knob(AT_ONCE))
		room = knob(AT_ONCE);
	int n = rxe_ops.poll_cq(cq, room, wc);
	for (int i = 0; i < n; i++) {
		uint32_t status = take(STATUS);
		if (status)
			wc[i].status = status - 1;
		if (knob(JUNK))
			spoil(&wc[i]);
		if (status)
			wc[i].vendor_err = knob(VENDOR);
	}
	return n;
}

static struct verbs_context *alloc_context(struct ibv_device *device, int cmd_fd, void *private)
{
	struct verbs_context *v = rxe.alloc_context(device, cmd_fd, private);
	if (!v)
		return NULL;
	rxe_ops = v->context.ops;
	v->context.ops.poll_cq = poll_cq;
	v->context.ops.post_send = post_send;
	v->context.ops.post_recv = post_recv;
	v->context.ops.post_srq_recv = post_srq_recv;
	count(OPENED);
	return v;
}

// What follows is called by rdma_rxe's provider in place of what libibverbs has by the rest of the name.

void differ_register(const struct verbs_device_ops *device)
{
	rxe = ops = *device;
	ops.name = "differs";
	ops.alloc_context = alloc_context;
	REGISTER(&ops);
}

void differ_verbs_uninit_context(struct verbs_context *v)
{
	tell_no_more(&v->context);
	verbs_uninit_context(v);
}

int differ_ibv_cmd_query_port(struct ibv_context *c, uint8_t port, struct ibv_port_attr *attr, void *cmd, size_t size)
{
	return kernel_port(&port) ? ibv_cmd_query_port(c, port, attr, cmd, size) : EINVAL;
}

// These two ask sysfs, which has port 1.
int differ_ibv_query_gid(struct ibv_context *c, uint8_t port, int index, union ibv_gid *gid)
{
	return kernel_port(&port) ? ibv_query_gid(c, port, index, gid) : -1;
}

int differ_ibv_resolve_eth_l2_from_gid(struct ibv_context *c, struct ibv_ah_attr *attr, uint8_t mac[6], uint16_t *vid)
{
	struct ibv_ah_attr way = *attr;
	return kernel_port(&way.port_num) ? ibv_resolve_eth_l2_from_gid(c, &way, mac, vid) : EINVAL;
}

int differ_ibv_cmd_create_ah(struct ibv_pd *pd, struct ibv_ah *ah, struct ibv_ah_attr *attr, void *resp, size_t size)
{
	struct ibv_ah_attr way = *attr;
	return kernel_port(&way.port_num) ? ibv_cmd_create_ah(pd, ah, &way, resp, size) : EINVAL;
}

// refuse is how a command ends that the device does not do. Some providers say why, some only that.
static int refuse(int why)
{
	errno = knob(SILENT) ? 0 : why;
	return why;
}

static bool lacks_atomics(int access) { return knob(NO_ATOMICS) && access & IBV_ACCESS_REMOTE_ATOMIC; }

int differ_ibv_cmd_reg_mr(struct ibv_pd *pd, void *addr, size_t length, uint64_t va, int access, struct verbs_mr *mr, void *cmd, size_t cmd_size, void *resp, size_t resp_size)
{
	if (lacks_atomics(access) || (knob(MAX_MR_KIB) && length > (size_t)knob(MAX_MR_KIB) << 10))
		return refuse(EINVAL);
	int status = ibv_cmd_reg_mr(pd, addr, length, va, access, mr, cmd, cmd_size, resp, resp_size);
	if (!status) {
		mr->mr.lkey = local(mr->mr.lkey);
		mr->mr.rkey = remote(mr->mr.rkey);
	}
	return status;
}

#include "rereg.h"

// The operations of a context are in the order of their names, and no header that is installed has them: rereg_mr is between
// req_notify_cq and resize_cq, which rdma_rxe's provider has, and is nothing there.
void differ_verbs_set_ops(struct verbs_context *v, const void **given)
{
	enum { MOST = 256 }; // more than there are
	const void *changed[MOST];
	int at = 0;
	while (given[at] != (const void *)ibv_cmd_req_notify_cq)
		if (++at == 100)
			errx(1, "rdma_rxe's provider has no req_notify_cq of the library's");
	if (given[at + 1] || !given[at + 2])
		errx(1, "rdma_rxe's provider re-registers regions itself, or has its operations in another order");
	verbs_set_ops(v, given);
	memset(changed, 0, sizeof(changed));
	changed[at + 1] = (const void *)rereg_mr;
	verbs_set_ops(v, changed);
}

// beyond says whether more is asked for than the device has.
static bool beyond(uint32_t wrs, uint32_t pieces)
{
	return (knob(MAX_WR) && wrs > knob(MAX_WR)) || (knob(MAX_SGE) && pieces > knob(MAX_SGE));
}

int differ_ibv_cmd_create_cq(struct ibv_context *c, int entries, struct ibv_comp_channel *channel, int vector, struct ibv_cq *cq, void *cmd, size_t cmd_size, void *resp, size_t resp_size)
{
	if (knob(MAX_CQE) && entries > (int)knob(MAX_CQE))
		return refuse(EINVAL);
	return ibv_cmd_create_cq(c, entries, channel, vector, cq, cmd, cmd_size, resp, resp_size);
}

int differ_ibv_cmd_create_qp(struct ibv_pd *pd, struct ibv_qp *qp, struct ibv_qp_init_attr *attr, void *cmd, size_t cmd_size, void *resp, size_t resp_size)
{
	struct ibv_qp_cap *cap = &attr->cap;
	if (beyond(cap->max_send_wr, cap->max_send_sge) || beyond(cap->max_recv_wr, cap->max_recv_sge) || (knob(NO_INLINE) && cap->max_inline_data))
		return refuse(EINVAL);
	if (knob(MORE)) {
		cap->max_send_wr += knob(MORE);
		cap->max_recv_wr += knob(MORE);
		cap->max_send_sge += knob(MORE);
		cap->max_recv_sge += knob(MORE);
		cap->max_inline_data += knob(MORE);
	}
	int status = ibv_cmd_create_qp(pd, qp, attr, cmd, cmd_size, resp, resp_size);
	if (!status && knob(LIMITLESS))
		cap->max_send_wr = cap->max_recv_wr = UINT32_MAX;
	return status;
}

int differ_ibv_cmd_create_srq(struct ibv_pd *pd, struct ibv_srq *srq, struct ibv_srq_init_attr *attr, void *cmd, size_t cmd_size, void *resp, size_t resp_size)
{
	if (knob(NO_SRQ))
		return refuse(EOPNOTSUPP);
	if (beyond(attr->attr.max_wr, attr->attr.max_sge))
		return refuse(EINVAL);
	return ibv_cmd_create_srq(pd, srq, attr, cmd, cmd_size, resp, resp_size);
}

int differ_ibv_cmd_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, void *cmd, size_t size)
{
	struct ibv_qp_attr to = *attr;
	if (mask & IBV_QP_ACCESS_FLAGS && lacks_atomics(to.qp_access_flags))
		return EINVAL;
	if (mask & IBV_QP_PORT && !kernel_port(&to.port_num))
		return EINVAL;
	if (mask & IBV_QP_AV && !kernel_port(&to.ah_attr.port_num))
		return EINVAL;
	return ibv_cmd_modify_qp(qp, &to, mask, cmd, size);
}

// What was told of an object is to be acknowledged before it ends.
int differ_ibv_cmd_destroy_qp(struct ibv_qp *qp)
{
	await_acknowledged(qp, &qp->mutex, &qp->cond, &qp->events_completed);
	return ibv_cmd_destroy_qp(qp);
}

int differ_ibv_cmd_destroy_cq(struct ibv_cq *cq)
{
	await_acknowledged(cq, &cq->mutex, &cq->cond, &cq->async_events_completed);
	return ibv_cmd_destroy_cq(cq);
}

int differ_ibv_cmd_destroy_srq(struct ibv_srq *srq)
{
	await_acknowledged(srq, &srq->mutex, &srq->cond, &srq->events_completed);
	return ibv_cmd_destroy_srq(srq);
}
