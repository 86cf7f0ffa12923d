package aio

// include/uapi/linux/aio_abi.h, as it is on little-endian machines.

const commandRead = 0 // IOCB_CMD_PREAD

// controlBlock is struct iocb.
type controlBlock struct {
	Data     uint64 `abi:"aio_data"` // comes back in the event
	Key      uint32 `abi:"aio_key"`
	Flags    uint32 `abi:"aio_rw_flags"`
	Opcode   uint16 `abi:"aio_lio_opcode"`
	Priority int16  `abi:"aio_reqprio"`
	File     uint32 `abi:"aio_fildes"`
	Buffer   uint64 `abi:"aio_buf"`
	Bytes    uint64 `abi:"aio_nbytes"`
	Offset   int64  `abi:"aio_offset"`
	Reserved uint64 `abi:"aio_reserved2"`
	Options  uint32 `abi:"aio_flags"`
	EventFD  uint32 `abi:"aio_resfd"`
}

// ioEvent is struct io_event.
type ioEvent struct {
	Data   uint64 `abi:"data"`
	Object uint64 `abi:"obj"`
	Result int64  `abi:"res"` // bytes, or the negative of an errno
	Second int64  `abi:"res2"`
}
