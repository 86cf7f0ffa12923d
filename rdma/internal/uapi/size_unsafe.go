package uapi

import "unsafe"

// Sizes are wrong at compile time, not in the kernel: an array of the wrong
// length cannot be assigned. The numbers are those of the C structs on 64-bit.
var (
	_ [8]byte   = [unsafe.Sizeof(CmdHdr{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(Pointer{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(GetContext{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(GetContextResp{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(QueryDevice{})]byte{}
	_ [176]byte = [unsafe.Sizeof(QueryDeviceResp{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(QueryPort{})]byte{}
	_ [40]byte  = [unsafe.Sizeof(QueryPortResp{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(AllocPD{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(AllocPDResp{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(DeallocPD{})]byte{}
	_ [40]byte  = [unsafe.Sizeof(RegMR{})]byte{}
	_ [12]byte  = [unsafe.Sizeof(RegMRResp{})]byte{}
	_ [48]byte  = [unsafe.Sizeof(ReregMR{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(ReregMRResp{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(DeregMR{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(AllocMW{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(IoctlHdr{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(Attr{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(AllocMWResp{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(DeallocMW{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(CreateCQ{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(CreateCQResp{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(DestroyCQ{})]byte{}
	_ [8]byte   = [unsafe.Sizeof(DestroyCQResp{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(CreateSRQ{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(CreateSRQResp{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(DestroySRQ{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(DestroySRQResp{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(RxeCreateSRQResp{})]byte{}
	_ [88]byte  = [unsafe.Sizeof(RxeAV{})]byte{}
	_ [56]byte  = [unsafe.Sizeof(CreateQP{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(CreateQPResp{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(QPDest{})]byte{}
	_ [112]byte = [unsafe.Sizeof(ModifyQP{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(DestroyQP{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(DestroyQPResp{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(PostSend{})]byte{}
	_ [4]byte   = [unsafe.Sizeof(PostSendResp{})]byte{}
	_ [48]byte  = [unsafe.Sizeof(WC{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(AsyncEventDesc{})]byte{}

	_ [16]byte  = [unsafe.Sizeof(MMInfo{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(RxeCreateCQResp{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(RxeCreateQPResp{})]byte{}
	_ [384]byte = [unsafe.Sizeof(RxeQueueBuf{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(RxeSGE{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(RxeDMAInfo{})]byte{}
	_ [208]byte = [unsafe.Sizeof(RxeSendWQE{})]byte{}
)
