package v4l2

import (
	"testing"

	"umemstress/rdma/abitest"
)

func TestLayoutMatchesKernelHeader(t *testing.T) {
	structs := map[string]abitest.Struct{
		"struct v4l2_capability":       {Is: capability{}},
		"struct v4l2_fmtdesc":          {Is: formatDescription{}},
		"struct v4l2_frmsizeenum":      {Is: frameSize{}},
		"struct v4l2_frmsize_discrete": {Is: size{}},
		"struct v4l2_format":           {Is: format{}},
		"struct v4l2_pix_format":       {Is: picture{}},
		"struct v4l2_streamparm":       {Is: parameters{}},
		"struct v4l2_fract":            {Is: interval{}},
		"struct v4l2_requestbuffers":   {Is: requestBuffers{}},
		"struct v4l2_buffer":           {Is: buffer{}},
	}
	values := map[string]uint64{
		"VIDIOC_QUERYCAP":               ioctlQueryCap,
		"VIDIOC_ENUM_FMT":               ioctlEnumFormat,
		"VIDIOC_G_FMT":                  ioctlGetFormat,
		"VIDIOC_S_FMT":                  ioctlSetFormat,
		"VIDIOC_REQBUFS":                ioctlRequestBuffers,
		"VIDIOC_QBUF":                   ioctlQueueBuffer,
		"VIDIOC_DQBUF":                  ioctlDequeueBuffer,
		"VIDIOC_STREAMON":               ioctlStreamOn,
		"VIDIOC_STREAMOFF":              ioctlStreamOff,
		"VIDIOC_S_PARM":                 ioctlSetParameters,
		"VIDIOC_TRY_FMT":                ioctlTryFormat,
		"VIDIOC_ENUM_FRAMESIZES":        ioctlEnumFrameSizes,
		"V4L2_BUF_TYPE_VIDEO_CAPTURE":   bufTypeVideoCapture,
		"V4L2_MEMORY_USERPTR":           memoryUserPointer,
		"V4L2_FIELD_ANY":                fieldAny,
		"V4L2_FMT_FLAG_COMPRESSED":      formatCompressed,
		"V4L2_FMT_FLAG_EMULATED":        formatEmulated,
		"V4L2_FRMSIZE_TYPE_DISCRETE":    sizeDiscrete,
		"V4L2_BUF_FLAG_ERROR":           bufFlagError,
		"V4L2_CAP_VIDEO_CAPTURE":        capVideoCapture,
		"V4L2_CAP_VIDEO_CAPTURE_MPLANE": capVideoCaptureMPl,
		"V4L2_CAP_STREAMING":            capStreaming,
		"V4L2_CAP_DEVICE_CAPS":          capDeviceCaps,
		"VIDEO_MAX_FRAME":               maxFrames,
		"V4L2_PIX_FMT_YUYV":             formatYUYV,
		"sizeof(enum v4l2_buf_type)":    4, // what VIDIOC_STREAMON takes
	}
	abitest.Headers{Include: []string{"linux/videodev2.h"}, Package: "linux-libc-dev"}.Compare(t, structs, values)
	if declared := abitest.Declared(t, "videodev2.go"); declared != len(structs) {
		t.Errorf("%d structs are declared and %d compared", declared, len(structs))
	}
}
