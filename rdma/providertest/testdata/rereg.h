// Re-registration, which rdma_rxe's own provider has not.

// rereg_mr makes a region over what there is to be, and only then gives up the one of before, as drivers do. The kernel's rdma_rxe
// is asked for no more than that.
static int rereg_mr(struct verbs_mr *mr, int flags, struct ibv_pd *pd, void *addr, size_t length, int access)
{
	struct verbs_mr next = *mr;
	struct {
		struct ib_uverbs_cmd_hdr header;
		struct ib_uverbs_reg_mr request;
	} cmd;
	struct ib_uverbs_reg_mr_resp resp;
	if (!knob(REREG))
		return refuse(EOPNOTSUPP);
	if (!(flags & IBV_REREG_MR_CHANGE_PD))
		pd = mr->mr.pd;
	if (!(flags & IBV_REREG_MR_CHANGE_TRANSLATION)) {
		addr = mr->mr.addr;
		length = mr->mr.length;
	}
	if (!(flags & IBV_REREG_MR_CHANGE_ACCESS))
		access = mr->access;
	int status = differ_ibv_cmd_reg_mr(pd, addr, length, (uintptr_t)addr, access, &next, &cmd, sizeof(cmd), &resp, sizeof(resp));
	if (status)
		return status;
	status = ibv_cmd_dereg_mr(mr);
	if (status)
		err(1, "deregister what was re-registered");
	mr->mr.handle = next.mr.handle;
	mr->mr.lkey = next.mr.lkey;
	mr->mr.rkey = next.mr.rkey;
	mr->access = access;
	count(REREGISTERED);
	return 0;
}
