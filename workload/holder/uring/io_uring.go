package uring

// include/uapi/linux/io_uring.h.

const (
	opRead            = 22     // IORING_OP_READ
	async             = 1 << 4 // IOSQE_ASYNC: a worker begins it
	enterGetEvents    = 1 << 0 // IORING_ENTER_GETEVENTS
	featSingleMmap    = 1 << 0 // IORING_FEAT_SINGLE_MMAP
	featNativeWorkers = 1 << 9 // IORING_FEAT_NATIVE_WORKERS

	offRings       = 0          // IORING_OFF_SQ_RING
	offSubmissions = 0x10000000 // IORING_OFF_SQES
)

// params is struct io_uring_params.
type params struct {
	SubmissionEntries uint32            `abi:"sq_entries"`
	CompletionEntries uint32            `abi:"cq_entries"`
	Flags             uint32            `abi:"flags"`
	ThreadCPU         uint32            `abi:"sq_thread_cpu"`
	ThreadIdle        uint32            `abi:"sq_thread_idle"`
	Features          uint32            `abi:"features"`
	Workers           uint32            `abi:"wq_fd"`
	Reserved          [3]uint32         `abi:"resv"`
	Submissions       submissionOffsets `abi:"sq_off"`
	Completions       completionOffsets `abi:"cq_off"`
}

// submissionOffsets is struct io_sqring_offsets.
type submissionOffsets struct {
	Head    uint32 `abi:"head"`
	Tail    uint32 `abi:"tail"`
	Mask    uint32 `abi:"ring_mask"`
	Entries uint32 `abi:"ring_entries"`
	Flags   uint32 `abi:"flags"`
	Dropped uint32 `abi:"dropped"`
	Array   uint32 `abi:"array"`
	_       uint32
	_       uint64
}

// completionOffsets is struct io_cqring_offsets.
type completionOffsets struct {
	Head     uint32 `abi:"head"`
	Tail     uint32 `abi:"tail"`
	Mask     uint32 `abi:"ring_mask"`
	Entries  uint32 `abi:"ring_entries"`
	Overflow uint32 `abi:"overflow"`
	Entry    uint32 `abi:"cqes"`
	Flags    uint32 `abi:"flags"`
	_        uint32
	_        uint64
}

// submission is struct io_uring_sqe, as a read has it.
type submission struct {
	Opcode      uint8  `abi:"opcode"`
	Flags       uint8  `abi:"flags"`
	Priority    uint16 `abi:"ioprio"`
	File        int32  `abi:"fd"`
	Offset      uint64 `abi:"off"`
	Address     uint64 `abi:"addr"`
	Length      uint32 `abi:"len"`
	ReadFlags   uint32 `abi:"rw_flags"`
	Data        uint64 `abi:"user_data"` // comes back in the completion
	Buffer      uint16 `abi:"buf_index"`
	Personality uint16 `abi:"personality"`
	Other       int32  `abi:"splice_fd_in"`
	_           [2]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	Data   uint64 `abi:"user_data"`
	Result int32  `abi:"res"` // bytes, or the negative of an errno
	Flags  uint32 `abi:"flags"`
}
