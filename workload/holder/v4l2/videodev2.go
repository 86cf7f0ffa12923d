package v4l2

// What follows is of linux/videodev2.h, as 64-bit machines have it; a test holds it against the
// installed header.

// Requests.
const (
	ioctlQueryCap       = 0x80685600 // VIDIOC_QUERYCAP
	ioctlEnumFormat     = 0xc0405602 // VIDIOC_ENUM_FMT
	ioctlGetFormat      = 0xc0d05604 // VIDIOC_G_FMT
	ioctlSetFormat      = 0xc0d05605 // VIDIOC_S_FMT
	ioctlRequestBuffers = 0xc0145608 // VIDIOC_REQBUFS
	ioctlQueueBuffer    = 0xc058560f // VIDIOC_QBUF
	ioctlDequeueBuffer  = 0xc0585611 // VIDIOC_DQBUF
	ioctlStreamOn       = 0x40045612 // VIDIOC_STREAMON
	ioctlStreamOff      = 0x40045613 // VIDIOC_STREAMOFF
	ioctlSetParameters  = 0xc0cc5616 // VIDIOC_S_PARM
	ioctlTryFormat      = 0xc0d05640 // VIDIOC_TRY_FMT
	ioctlEnumFrameSizes = 0xc02c564a // VIDIOC_ENUM_FRAMESIZES
)

// Values of the structures' fields.
const (
	bufTypeVideoCapture = 1          // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryUserPointer   = 2          // V4L2_MEMORY_USERPTR
	fieldAny            = 0          // V4L2_FIELD_ANY
	formatCompressed    = 1          // V4L2_FMT_FLAG_COMPRESSED
	formatEmulated      = 2          // V4L2_FMT_FLAG_EMULATED
	sizeDiscrete        = 1          // V4L2_FRMSIZE_TYPE_DISCRETE
	bufFlagError        = 0x40       // V4L2_BUF_FLAG_ERROR
	capVideoCapture     = 0x1        // V4L2_CAP_VIDEO_CAPTURE
	capVideoCaptureMPl  = 0x1000     // V4L2_CAP_VIDEO_CAPTURE_MPLANE
	capStreaming        = 0x04000000 // V4L2_CAP_STREAMING
	capDeviceCaps       = 0x80000000 // V4L2_CAP_DEVICE_CAPS
	maxFrames           = 32         // VIDEO_MAX_FRAME
	formatYUYV          = 0x56595559 // V4L2_PIX_FMT_YUYV
)

// capability is struct v4l2_capability.
type capability struct {
	Driver       [16]byte  `abi:"driver"`
	Card         [32]byte  `abi:"card"`
	BusInfo      [32]byte  `abi:"bus_info"`
	Version      uint32    `abi:"version"`
	Capabilities uint32    `abi:"capabilities"`
	DeviceCaps   uint32    `abi:"device_caps"`
	_            [3]uint32 // reserved
}

// formatDescription is struct v4l2_fmtdesc.
type formatDescription struct {
	Index       uint32    `abi:"index"`
	Type        uint32    `abi:"type"`
	Flags       uint32    `abi:"flags"`
	Description [32]byte  `abi:"description"`
	PixelFormat uint32    `abi:"pixelformat"`
	_           [4]uint32 // mbus_code, reserved
}

// frameSize is struct v4l2_frmsizeenum. Of sizes that are no list, the union has the least
// width and the greatest, which is what is read of it here.
type frameSize struct {
	Index       uint32    `abi:"index"`
	PixelFormat uint32    `abi:"pixel_format"`
	Type        uint32    `abi:"type"`
	Size        size      `abi:"discrete"`
	_           [4]uint32 // the rest of stepwise
	_           [2]uint32 // reserved
}

// size is struct v4l2_frmsize_discrete, in pixels.
type size struct {
	Width  uint32 `abi:"width"`
	Height uint32 `abi:"height"`
}

// format is struct v4l2_format with struct v4l2_pix_format, whose union is aligned as pointers are.
type format struct {
	Type    uint32 `abi:"type"`
	_       uint32
	Picture picture   `abi:"fmt.pix"`
	_       [152]byte // the rest of the union
}

// picture is struct v4l2_pix_format.
type picture struct {
	Width        uint32 `abi:"width"`
	Height       uint32 `abi:"height"`
	PixelFormat  uint32 `abi:"pixelformat"`
	Field        uint32 `abi:"field"`
	BytesPerLine uint32 `abi:"bytesperline"`
	SizeImage    uint32 `abi:"sizeimage"`
	Colorspace   uint32 `abi:"colorspace"`
	Priv         uint32 `abi:"priv"`
	Flags        uint32 `abi:"flags"`
	Encoding     uint32 `abi:"ycbcr_enc"`
	Quantization uint32 `abi:"quantization"`
	Transfer     uint32 `abi:"xfer_func"`
}

// parameters is struct v4l2_streamparm with struct v4l2_captureparm.
type parameters struct {
	Type    uint32   `abi:"type"`
	_       uint32   // capability
	Mode    uint32   `abi:"parm.capture.capturemode"`
	Picture interval `abi:"parm.capture.timeperframe"`
	_       [46]uint32
}

// interval is struct v4l2_fract, in seconds.
type interval struct {
	Numerator   uint32 `abi:"numerator"`
	Denominator uint32 `abi:"denominator"`
}

// requestBuffers is struct v4l2_requestbuffers.
type requestBuffers struct {
	Count  uint32    `abi:"count"`
	Type   uint32    `abi:"type"`
	Memory uint32    `abi:"memory"`
	_      [2]uint32 // capabilities, flags and reserved
}

// buffer is struct v4l2_buffer.
type buffer struct {
	Index     uint32 `abi:"index"`
	Type      uint32 `abi:"type"`
	BytesUsed uint32 `abi:"bytesused"`
	Flags     uint32 `abi:"flags"`
	Field     uint32 `abi:"field"`
	_         uint32
	_         [4]uint64 // timestamp, timecode
	Sequence  uint32    `abi:"sequence"`
	Memory    uint32    `abi:"memory"`
	Address   uint64    `abi:"m.userptr"`
	Length    uint32    `abi:"length"`
	_         [3]uint32 // reserved2, request_fd, padding
}
