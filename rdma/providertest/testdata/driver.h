// libibverbs/driver.h of rdma-core, which no package installs: what is used of it. The struct goes with the number in
// verbs_register_driver_NN, which the script build takes from the library.
struct verbs_device_ops {
	const char *name;
	uint32_t match_min_abi_version, match_max_abi_version;
	const void *match_table, *static_providers;
	bool (*match_device)(void *);
	struct verbs_context *(*alloc_context)(struct ibv_device *, int cmd_fd, void *);
	void *(*import_context)(struct ibv_device *, int cmd_fd);
	void *(*alloc_device)(void *);
	void (*uninit_device)(void *);
};
struct verbs_mr { // its first members
	struct ibv_mr mr;
	int type, access;
};
void verbs_set_ops(struct verbs_context *, const void **);
int ibv_cmd_req_notify_cq(struct ibv_cq *, int);
int ibv_cmd_dereg_mr(struct verbs_mr *);
void REGISTER(const struct verbs_device_ops *);
void verbs_uninit_context(struct verbs_context *);
int ibv_cmd_query_port(struct ibv_context *, uint8_t, struct ibv_port_attr *, void *, size_t);
int ibv_cmd_reg_mr(struct ibv_pd *, void *, size_t, uint64_t, int, struct verbs_mr *, void *, size_t, void *, size_t);
int ibv_cmd_create_cq(struct ibv_context *, int, struct ibv_comp_channel *, int, struct ibv_cq *, void *, size_t, void *, size_t);
int ibv_cmd_create_qp(struct ibv_pd *, struct ibv_qp *, struct ibv_qp_init_attr *, void *, size_t, void *, size_t);
int ibv_cmd_modify_qp(struct ibv_qp *, struct ibv_qp_attr *, int, void *, size_t);
int ibv_cmd_destroy_qp(struct ibv_qp *);
int ibv_cmd_destroy_cq(struct ibv_cq *);
int ibv_cmd_create_srq(struct ibv_pd *, struct ibv_srq *, struct ibv_srq_init_attr *, void *, size_t, void *, size_t);
int ibv_cmd_destroy_srq(struct ibv_srq *);
int ibv_cmd_create_ah(struct ibv_pd *, struct ibv_ah *, struct ibv_ah_attr *, void *, size_t);
