//go:build guest

package probes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// The umem of a socket that was never bound is let go of by a worker of the kernel, in the name of who
// registered it. A kernel that refuses the file is seen to; what is no umem at all is no refusal.
func TestXDPUnbound(t *testing.T) {
	const pages = 64
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), pages)
	w := attach(t, Options{Holders: []string{event.HolderXDP}, Kinds: []event.Kind{event.Pinned, event.Refused, event.Dirtied}})
	w.read(t)
	socket, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	open := true
	t.Cleanup(func() {
		if open {
			check(t, unix.Close(socket))
		}
	})
	if err := registerUmem(t, socket, p.mem, 3); !errors.Is(err, unix.EINVAL) {
		t.Errorf("frames of 3 bytes: %v", err)
	}
	err = registerUmem(t, socket, p.mem, pageSize)
	refused := *expect == "refused"
	if refused != errors.Is(err, unix.EFAULT) || !refused && err != nil {
		t.Fatalf("register a umem: %v", err)
	}
	pins := slices.DeleteFunc(slices.Clone(w.delivered(t)), func(e event.Event) bool {
		return e.Kind != event.Pinned && e.Kind != event.Refused
	})
	if len(pins) != 1 || pins[0].Inode != p.inode || pins[0].Holder != event.HolderXDP || (pins[0].Kind == event.Refused) != refused ||
		pins[0].Owner.PID != uint32(unix.Getpid()) || pins[0].Region.Length != pages*pageSize || !refused && pins[0].Pages != pages {
		t.Fatalf("events %+v", pins)
	}
	if refused {
		return
	}
	p.cleanAndStrip(t)
	check(t, unix.Close(socket))
	open = false
	w.waitFor(t, wantCount(p.inode, pages))
	found := false
	for _, e := range w.delivered(t) {
		if e.Kind != event.Dirtied || e.Inode != p.inode {
			continue
		}
		found = true
		check(t, w.Symbolise(&e))
		if e.Holder != event.HolderXDP || e.Owner.PID != uint32(unix.Getpid()) || e.PID == e.Owner.PID ||
			!slices.ContainsFunc(e.Stack, func(f string) bool { return strings.HasPrefix(f, "xdp_umem_release_deferred+") }) {
			t.Errorf("event %+v", e)
		}
	}
	if !found {
		t.Error("no event of the release")
	}
	w.wantQuiet(t)
}

func registerUmem(t *testing.T, socket int, mem []byte, frame uint32) error {
	t.Helper()
	var r bytes.Buffer
	check(t, binary.Write(&r, binary.NativeEndian, unix.XDPUmemReg{Addr: uint64(address(mem)), Len: uint64(len(mem)), Size: frame}))
	return unix.SetsockoptString(socket, unix.SOL_XDP, unix.XDP_UMEM_REG, r.String())
}
