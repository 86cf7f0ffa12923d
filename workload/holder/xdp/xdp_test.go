package xdp

import (
	"testing"

	"umemstress/workload/holder"
)

// Frames of a whole pass cover the target to the byte, if they come from its end to its beginning, and lie
// in the umem.
func TestFramesCover(t *testing.T) {
	for _, size := range []int{frameBytes, 5 * frameBytes} {
		umem := make([]byte, frameBytes+size+frameBytes)
		var messages []holder.Message
		for m := range (holder.Pass{Size: payloadBytes, Target: int64(size), Source: 3 * frameBytes}).Messages() {
			messages = append(messages, m)
		}
		for i := len(messages) - 1; i >= 0; i-- {
			m := messages[i]
			frame := frameOf(m.To)
			if frame+frameBytes > uint64(len(umem)) {
				t.Fatalf("%+v: its frame at %d ends beyond the umem of %d bytes", m, frame, len(umem))
			}
			packet := umem[frame+headroom:][:headerBytes+m.Length]
			copy(packet, newFrame())
			for b := range m.Length {
				packet[headerBytes+b] = byte(i + 1)
			}
		}
		for at, b := range umem[frameBytes:][:size] {
			if want := byte(at/payloadBytes + 1); b != want {
				t.Fatalf("%d bytes: byte %d is of packet %d, want %d", size, at, b, want)
			}
		}
	}
}

// The type stands in a packet as the network has it.
func TestEtherType(t *testing.T) {
	frame := newFrame()
	if len(frame) != headerBytes || frame[12] != 0x88 || frame[13] != 0xb5 {
		t.Errorf("% x", frame)
	}
	if n := networkOrder(etherType); byte(n) != 0x88 || byte(n>>8) != 0xb5 {
		t.Errorf("%#x", n)
	}
}
