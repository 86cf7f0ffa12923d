package uverbs

import (
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// Whatever comes on the event file, one message for each size in cuts: NextEvent comes
// back, and says the truth.
func FuzzNextEvent(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}, []byte{16})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0}, []byte{16})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 8}, []byte{9})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0}, []byte{12, 4})
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, data, cuts []byte) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}()
		var want []uapi.AsyncEventDesc
		for _, cut := range cuts[:min(len(cuts), 16)] {
			message := data[:min(int(cut), len(data))]
			data = data[len(message):]
			if _, err := unix.Write(fds[1], message); err != nil {
				t.Fatal(err)
			}
			switch {
			case len(message) == 0: // as a file that ended
				want = append(want, uapi.AsyncEventDesc{EventType: uapi.EventDeviceFatal})
			case len(message) >= 16:
				want = append(want, uapi.AsyncEventDesc{Element: native.Uint64(message), EventType: native.Uint32(message[8:])})
			}
		}
		file := &File{fd: -1, asyncFD: fds[0]}
		for i, w := range want {
			if got, ok := file.NextEvent(); !ok || got.Element != w.Element || got.EventType != w.EventType {
				t.Errorf("event %d: %+v, %v, want %+v", i, got, ok, w)
			}
		}
		if got, ok := file.NextEvent(); ok {
			t.Errorf("an event that nobody has sent: %+v", got)
		}
	})
}
