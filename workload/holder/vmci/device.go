package vmci

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

const node = "/dev/vmci"

// device is /dev/vmci with a context of its own, as the process of a virtual machine has it.
type device struct {
	file    *os.File
	context uint32
	mail    *memory.Region // a datagram, where the kernel reads and writes it
}

func openDevice() (_ *device, err error) {
	d := &device{}
	if d.file, err = os.OpenFile(node, os.O_RDWR, 0); err != nil {
		return nil, lacksDevice(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	version := uint32(versionNoVMVM)
	if err := call(d.file, ioctlVersion2, &version); err != nil {
		return nil, fault.Lacksf("%s: IOCTL_VMCI_VERSION2: %w", node, err)
	}
	// Not a number that was used before: the kernel's sockets keep the queue pairs of a context that
	// is gone for a second (net/vmw_vsock/af_vsock.c, vsock_pending_work), by these very names.
	block := initBlock{Context: firstContext + rand.Uint32N(1<<30)}
	if err := call(d.file, ioctlInitContext, &block); err != nil {
		return nil, fault.Lacksf("%s: IOCTL_VMCI_INIT_CONTEXT: %w", node, err)
	}
	d.context = block.Context
	d.mail, err = memory.MapAnonymous(os.Getpagesize())
	return d, err
}

func lacksDevice(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fault.Lacksf("the holder vmci needs %s: %w; modprobe vmw_vmci, or boot a kernel that has it (CONFIG_VMWARE_VMCI); in a container, pass the node in", node, err)
	case errors.Is(err, os.ErrPermission):
		return fault.Lacksf("the holder vmci needs %s: %w; run as root", node, err)
	}
	return fault.Lacksf("the holder vmci needs %s: %w", node, err)
}

// allocate makes a queue pair in the memory, each queue of so many bytes of data. The kernel
// pins the memory.
func (d *device) allocate(h handle, mem []byte, queueBytes int) error {
	info := allocInfo{
		Handle: h, Peer: anyPeer, ProduceSize: uint64(queueBytes), ConsumeSize: uint64(queueBytes),
		Address: uint64(memory.AddressOf(mem)), Pages: uint64(len(mem) / os.Getpagesize()),
	}
	if err := call(d.file, ioctlQueuePairAlloc, &info); err != nil {
		return fmt.Errorf("IOCTL_VMCI_QUEUEPAIR_ALLOC: %w", err)
	}
	if err := status(info.Result).failure(); err != nil {
		return fmt.Errorf("IOCTL_VMCI_QUEUEPAIR_ALLOC of 2 × %d bytes: %w", queueBytes, err)
	}
	return nil
}

// detach has the kernel let go of a queue pair's memory.
func (d *device) detach(h handle) error {
	info := detachInfo{Handle: h}
	if err := call(d.file, ioctlQueuePairDetach, &info); err != nil {
		return fmt.Errorf("IOCTL_VMCI_QUEUEPAIR_DETACH: %w", err)
	}
	if err := status(info.Result).failure(); err != nil {
		return fmt.Errorf("IOCTL_VMCI_QUEUEPAIR_DETACH: %w", err)
	}
	return nil
}

// send sends a packet to the kernel's own side of AF_VSOCK.
func (d *device) send(p packet) error {
	p.To, p.From = handle{hostContext, packetsResource}, handle{d.context, packetsResource}
	p.Payload, p.Version = packetBytes-datagramHeader, packetVersion
	var text bytes.Buffer
	if err := binary.Write(&text, binary.NativeEndian, p); err != nil {
		return err
	}
	copy(d.mail.Bytes, text.Bytes())
	info := datagramInfo{Address: uint64(memory.AddressOf(d.mail.Bytes)), Length: packetBytes}
	if err := call(d.file, ioctlDatagramSend, &info); err != nil {
		return fmt.Errorf("IOCTL_VMCI_DATAGRAM_SEND: %w", err)
	}
	err := status(info.Result).failure()
	if errors.Is(err, errorInvalidResource) {
		return fault.Lacksf("nobody takes the packets of AF_VSOCK here: %w; modprobe vmw_vsock_vmci_transport (CONFIG_VMWARE_VMCI_VSOCKETS)", err)
	}
	return err
}

// receiveBound is how long the kernel may take to answer a packet.
const receiveBound = 10 * time.Second

// receive waits for a packet of the type to the port, past what else comes.
func (d *device) receive(ctx context.Context, kind uint8, port uint32) (packet, error) {
	for deadline := time.Now().Add(receiveBound); ; {
		p, there, err := d.next()
		switch {
		case err != nil:
			return packet{}, err
		case there && p.ToPort == port && p.Type == packetReset:
			return packet{}, fault.Lacksf("the kernel refused the connection of AF_VSOCK; the module vhost_vsock has the host's side of it where that is loaded: rmmod vhost_vsock")
		case there && p.ToPort == port && p.Type == kind:
			return p, nil
		case there:
			continue
		case ctx.Err() != nil:
			return packet{}, ctx.Err()
		case time.Now().After(deadline):
			return packet{}, fmt.Errorf("%s: the kernel has not answered a packet of AF_VSOCK for %v", node, receiveBound)
		}
		const soon = 10 // ms
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(d.file.Fd()), Events: unix.POLLIN}}, soon); err != nil && !errors.Is(err, unix.EINTR) {
			return packet{}, fmt.Errorf("poll of %s: %w", node, err)
		}
	}
}

// next takes the next packet, if a datagram is there. One that is none, such as the news that
// somebody attached to a queue pair, is an empty packet.
func (d *device) next() (p packet, there bool, err error) {
	info := datagramInfo{Address: uint64(memory.AddressOf(d.mail.Bytes)), Length: uint32(len(d.mail.Bytes))}
	if err := call(d.file, ioctlDatagramReceive, &info); err != nil {
		return packet{}, false, fmt.Errorf("IOCTL_VMCI_DATAGRAM_RECEIVE: %w", err)
	}
	switch err := status(info.Result).failure(); {
	case errors.Is(err, errorNoMoreDatagrams):
		return packet{}, false, nil
	case err != nil:
		return packet{}, false, fmt.Errorf("IOCTL_VMCI_DATAGRAM_RECEIVE: %w", err)
	}
	err = binary.Read(bytes.NewReader(d.mail.Bytes), binary.NativeEndian, &p)
	if p.To.Resource != packetsResource || p.Payload != packetBytes-datagramHeader {
		p = packet{}
	}
	return p, true, err
}

// Close ends the context, and with it every queue pair that is still there.
func (d *device) Close() error {
	if d == nil || d.file == nil {
		return nil
	}
	err := errors.Join(d.file.Close(), d.mail.Close())
	d.file = nil
	return err
}
