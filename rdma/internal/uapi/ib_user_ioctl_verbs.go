package uapi

// Access flags of memory regions and queue pairs. enum ib_uverbs_access_flags,
// ib_user_ioctl_verbs.h.
const (
	AccessLocalWrite   = 1 << 0
	AccessRemoteWrite  = 1 << 1
	AccessRemoteRead   = 1 << 2
	AccessRemoteAtomic = 1 << 3
	AccessMWBind       = 1 << 4
)

// Queue pair types. enum ib_uverbs_qp_type, ib_user_ioctl_verbs.h.
const (
	QPTypeRC = 2
	QPTypeUC = 3
	QPTypeUD = 4
)
