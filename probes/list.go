package probes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// Of include/uapi/rdma/rdma_netlink.h: the message that asks for a device's memory regions.
const (
	rdmaNLDev   = 5  // RDMA_NL_NLDEV
	cmdRegions  = 13 // RDMA_NLDEV_CMD_RES_MR_GET
	clientShift = 10 // RDMA_NL_GET_TYPE
	infiniband  = "/sys/class/infiniband"
)

// ListRegions has an event sent for each RDMA region that a process has registered by now: of
// [event.Pinned], with a Region whose PinnedNS is 0. The kernel does not say what memory that
// is: the event has no file. Regions that the session saw pinned are among them.
//
// While it asks, what other programs list is sent, too.
func (s *Session) ListRegions() error {
	if err := s.listRegions(); err != nil {
		return fmt.Errorf("probes: list the RDMA regions: %w", err)
	}
	return nil
}

func (s *Session) listRegions() (err error) {
	if entries, err := os.ReadDir(infiniband); len(entries) == 0 {
		if errors.Is(err, fs.ErrNotExist) { // no RDMA at all
			err = nil
		}
		return err
	}
	devices, err := netlink.RdmaLinkList()
	if err != nil {
		return err
	}
	listing := s.coll.Variables[dirtyVarListing]
	if err := listing.Set(uint32(1)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listing.Set(uint32(0))) }()
	for _, device := range devices {
		request := nl.NewNetlinkRequest(rdmaNLDev<<clientShift|cmdRegions, unix.NLM_F_DUMP)
		request.AddData(nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, binary.NativeEndian.AppendUint32(nil, device.Attrs.Index)))
		if _, err := request.Execute(unix.NETLINK_RDMA, 0); err != nil {
			return fmt.Errorf("%s: %w", device.Attrs.Name, err)
		}
	}
	return nil
}

// Owns tells the kernel's side who holds pages of a file, as far as it has not seen anybody pin
// some: what reclaim and writeback do to them is told in that name.
func (s *Session) Owns(file event.Inode, holder string, owner event.Owner) error {
	value := dirtyOwner{Process: owner.PID, Cgroup: owner.Cgroup}
	for number, name := range holderNames {
		if name == holder {
			value.Holder = number
		}
	}
	for i, c := range []byte(owner.Comm) {
		if i < len(value.Comm)-1 {
			value.Comm[i] = int8(c)
		}
	}
	err := undisturbed(func() error {
		return s.coll.Maps[dirtyMapOwners].Update(dirtyFile{Inode: file.Number, Device: file.Device}, value, ebpf.UpdateNoExist)
	})
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("probes: name the owner of a file: %w", err)
	}
	return nil
}

// setUmemOffsets finds where struct ib_umem has what is read of regions that nobody saw
// pinned. Kernels have no types of modules before 5.11; then it is where it has always been.
func setUmemOffsets(values map[string]uint32, cache *btf.Cache) {
	for _, module := range []string{"ib_core", "ib_uverbs"} {
		types, err := cache.Module(module)
		if err != nil {
			continue
		}
		var umem *btf.Struct
		if types.TypeByName("ib_umem", &umem) != nil {
			continue
		}
		for _, m := range umem.Members {
			switch m.Name {
			case "length":
				values[dirtyVarUmemLength] = m.Offset.Bytes()
			case "address":
				values[dirtyVarUmemAddress] = m.Offset.Bytes()
			}
		}
		return
	}
}
