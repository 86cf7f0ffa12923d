package v4l2

import (
	"cmp"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// A piece is a buffer over a part of the target.
type piece struct {
	index   uint32
	address uintptr
	bytes   int // of the target
	failed  int // pictures
}

// spares is how many buffers are no part of the target: some devices begin with two, or keep one.
const spares = 2

// maxPieces is how many may be.
const maxPieces = maxFrames - spares

// usual are sizes of pictures for a device that has no list of them: it takes what is nearest.
var usual = []size{{320, 180}, {640, 360}, {640, 480}, {1280, 720}, {1920, 1080}, {3840, 2160}}

// wholeBytes are those of a picture that fill pages: only they can be known to have been
// written as whole pages.
func wholeBytes(p picture) int64 { return int64(p.SizeImage) &^ int64(os.Getpagesize()-1) }

// choose picks the least of the pictures that cover so many bytes. The last is the largest one.
func choose(pictures []picture, target int64) (chosen picture, covers bool) {
	slices.SortFunc(pictures, func(a, b picture) int { return cmp.Compare(a.SizeImage, b.SizeImage) })
	for _, chosen = range pictures {
		if whole := wholeBytes(chosen); whole > 0 && (target+whole-1)/whole <= maxPieces {
			return chosen, true
		}
	}
	return chosen, false
}

// setUp sets the size of the pictures, and takes the queue.
func (d *device) setUp(target int64) error {
	d.before = format{Type: bufTypeVideoCapture}
	if err := call(d.file, ioctlGetFormat, &d.before); err != nil {
		return d.busyOr(err, "; VIDIOC_G_FMT tells nothing of its pictures, name another device")
	}
	pictures, err := d.pictures()
	if err != nil {
		return err
	}
	chosen, covers := choose(pictures, target)
	if !covers {
		most := maxPieces * wholeBytes(chosen)
		return fault.TooMuch(most, d.wrongf("%d of its largest pictures cover %d bytes; give at most --file-size %[2]d, or another device", maxPieces, most))
	}
	set := format{Type: bufTypeVideoCapture, Picture: chosen}
	if err := call(d.file, ioctlSetFormat, &set); err != nil {
		return d.busyOr(err, ": VIDIOC_S_FMT; name another device")
	}
	d.picture, d.changed = set.Picture, true
	if set.Picture.SizeImage != chosen.SizeImage {
		return d.wrongf("it offered pictures of %d bytes, and makes such of %d; name another device", chosen.SizeImage, set.Picture.SizeImage)
	}
	d.hurry()
	return d.takeQueue(target)
}

// hurry has vivid, which makes some pictures a second, make as many as it can. Others are left as they are.
func (d *device) hurry() {
	if d.driver == vividDriver {
		_ = call(d.file, ioctlSetParameters, &parameters{Type: bufTypeVideoCapture, Picture: interval{1, 1000}}) // else it takes longer
	}
}

// takeQueue has the queue have as many buffers as the target takes.
func (d *device) takeQueue(target int64) error {
	whole := wholeBytes(d.picture)
	wanted := uint32((target+whole-1)/whole) + spares
	asked := requestBuffers{Count: wanted, Type: bufTypeVideoCapture, Memory: memoryUserPointer}
	switch err := call(d.file, ioctlRequestBuffers, &asked); {
	case errors.Is(err, unix.EINVAL):
		return d.wrongf("it takes no memory of a program as a buffer (V4L2_MEMORY_USERPTR); name another device")
	case err != nil:
		return d.busyOr(err, ": VIDIOC_REQBUFS; name another device")
	}
	d.buffers = asked.Count
	if d.buffers < wanted {
		return d.wrongf("its queue has %d buffers at most, and %d are needed; give a smaller --file-size", d.buffers, wanted)
	}
	return nil
}

// pictures are those that the device can make, of the kind that tells how many bytes a picture has.
func (d *device) pictures() (all []picture, err error) {
	kind, err := d.pixels()
	if err != nil {
		return nil, err
	}
	sizes := d.sizes(kind)
	if len(sizes) == 0 {
		sizes = append(slices.Clone(usual), size{d.before.Picture.Width, d.before.Picture.Height})
	}
	for _, s := range sizes {
		try := format{Type: bufTypeVideoCapture, Picture: picture{Width: s.Width, Height: s.Height, PixelFormat: kind, Field: fieldAny}}
		if call(d.file, ioctlTryFormat, &try) == nil && try.Picture.PixelFormat == kind && try.Picture.SizeImage > 0 {
			all = append(all, try.Picture)
		}
	}
	if len(all) == 0 {
		return nil, d.wrongf("it offers no size of pictures (VIDIOC_TRY_FMT); name another device")
	}
	return all, nil
}

// pixels returns what a pixel is to be: every picture of the kind has as many bytes.
func (d *device) pixels() (kind uint32, err error) {
	for index := uint32(0); ; index++ {
		f := formatDescription{Index: index, Type: bufTypeVideoCapture}
		if err := call(d.file, ioctlEnumFormat, &f); err != nil {
			break // EINVAL: that was the last one
		}
		if f.Flags&(formatCompressed|formatEmulated) != 0 {
			continue
		}
		if f.PixelFormat == formatYUYV {
			return formatYUYV, nil
		}
		if kind == 0 {
			kind = f.PixelFormat
		}
	}
	if kind == 0 {
		return 0, d.wrongf("its pictures are compressed, so that nobody knows how many bytes arrive; name another device")
	}
	return kind, nil
}

// sizes are the device's list, if it has one.
func (d *device) sizes(kind uint32) (list []size) {
	for index := uint32(0); ; index++ {
		s := frameSize{Index: index, PixelFormat: kind}
		if call(d.file, ioctlEnumFrameSizes, &s) != nil || s.Type != sizeDiscrete {
			return list
		}
		list = append(list, s.Size)
	}
}
