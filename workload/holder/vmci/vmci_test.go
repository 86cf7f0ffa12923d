package vmci

import (
	"encoding/binary"
	"os"
	"testing"

	"umemstress/workload/internal/memory"
)

// The structures are as long as the kernel's, whose answers lie behind their other fields.
func TestSizes(t *testing.T) {
	for what, c := range map[string]struct {
		of   any
		want int
	}{
		"struct vmci_init_blk":              {initBlock{}, 8},
		"struct vmci_qp_alloc_info":         {allocInfo{}, 56},
		"struct vmci_qp_dtch_info":          {detachInfo{}, 16},
		"struct vmci_datagram_snd_rcv_info": {datagramInfo{}, 16},
		"struct vmci_transport_packet":      {packet{}, packetBytes},
	} {
		if size := binary.Size(c.of); size != c.want {
			t.Errorf("%s has %d bytes, want %d", what, size, c.want)
		}
	}
}

// Messages cover the target without a gap, and none leaves its piece or its run of the source,
// wherever a pass begins.
func TestMessages(t *testing.T) {
	for _, c := range []struct {
		size, source int64
		message      int
	}{
		{3 * pieceBytes / 2, 1 << 20, 65536}, {pieceBytes + 4096, 12288, 5000}, {4096, 8192, 1 << 20}, {2 * pieceBytes, 3 << 20, 1000001},
	} {
		h := &queues{
			config: Config{TargetBytes: c.size, MessageBytes: c.message}, size: c.size,
			source: &memory.Region{Bytes: make([]byte, c.source)},
		}
		number := 0
		for at := int64(0); at < c.size; number++ {
			length := h.message(at)
			end := at + length
			if length < 1 || length > int64(c.message) || end > c.size ||
				at/c.source != (end-1)/c.source || at/int64(h.piece()) != (end-1)/int64(h.piece()) {
				t.Fatalf("%+v: a message of %d bytes at %d", c, length, at)
			}
			at = end
		}
		if n := h.messages(); n != number {
			t.Errorf("%+v: %d messages, want %d", c, n, number)
		}
	}
}

// What the kernel refuses has a name.
func TestStatus(t *testing.T) {
	for s, want := range map[status]string{errorNoMemory: "VMCI_ERROR_NO_MEM (-3)", -40: "VMCI status -40"} {
		if err := s.failure(); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := status(24).failure(); err != nil {
		t.Error(err)
	}
}

// A connection that fails has no socket that Close would take from somebody else.
func TestConnectFails(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0) // which answers no request
	if err != nil {
		t.Fatal(err)
	}
	mail, err := memory.MapAnonymous(os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	d := &device{file: null, mail: mail}
	defer d.Close()
	if socket, err := (&listener{}).connect(t.Context(), d, handle{}, 4096); err == nil || socket != noSocket {
		t.Errorf("socket %d, %v", socket, err)
	}
}
