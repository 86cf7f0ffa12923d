package uverbs

import (
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/uapi"
)

// Whatever comes on the event file, one message for each size in cuts: Fatal comes
// back, and says the truth.
func FuzzFatal(f *testing.F) {
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
		want := false
		for _, cut := range cuts[:min(len(cuts), 16)] {
			message := data[:min(int(cut), len(data))]
			data = data[len(message):]
			if _, err := unix.Write(fds[1], message); err != nil {
				t.Fatal(err)
			}
			var event [16]byte
			copy(event[:], message)
			want = want || len(message) == 0 || native.Uint32(event[8:]) == uapi.EventDeviceFatal
		}
		if got := (&File{fd: -1, asyncFD: fds[0]}).Fatal(); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
