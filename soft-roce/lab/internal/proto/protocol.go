// Package proto is what host and guest agree upon: the places in the initramfs, the
// spec that init finds there, and the events on the control port, one JSON object per
// line.
package proto

import "time"

// Places in the initramfs, and names that devices are found by.
const (
	SpecPath    = "/umemstress-lab.json" // a Spec; its presence marks the lab's guest
	InitPath    = "/init"
	ModulesPath = "/boot-modules" // STAGE/NNN-name.ko

	PortControl = "umemstress.control"
	PortStdin   = "umemstress.stdin" // only if the program has input
	PortStdout  = "umemstress.stdout"
	PortStderr  = "umemstress.stderr"
	PortPeer    = "umemstress.peer" // only of a guest that has another one for its peer

	RootTag = "hostroot" // 9p mount tag of the host's file tree

	ScratchSerial = "scratch" // serial number of the scratch disk
)

// Spec tells the guest's init what to do.
type Spec struct {
	Release string   // uname -r of the guest's kernel
	Modules string   // lib/modules/RELEASE on the host
	LinksTo string   // directory of the host that links in Modules lead into; empty: they lead nowhere
	Program []string // program and its arguments
	Dir     string   // working directory
	Env     []string
	Input   bool      // the program reads what the host sends
	Term    *Terminal // which is the program's stdin and stdout; nil: pipes are
	Shares  []Share
	Device  bool     // bring up soft-RoCE
	Pmem    bool     // bring up PmemDevice
	Network *Network // that the link goes over; nil: one of the guest's own
	Loaded  []LoadedFile
	Seed    []byte // of the guest's random numbers, SeedBytes long

	TimerSlack time.Duration // of the program and what it starts; 0: the kernel's default
}

// The stages of boot modules, each a directory of ModulesPath.
const (
	StageBus     = "0-bus" // before all others
	StageHost    = "host"
	StageScratch = "scratch"
	StageLoop    = "loop"
	StageDevice  = "device"
	StageNetwork = "network" // only of a guest with a Network
)

// Network is what a guest has to do with another one.
type Network struct {
	Host    string // what it calls itself
	Address string // of its netdev, with the length of the prefix
	HasPeer bool   // it has the port PortPeer, which PeerDevice leads to
}

// NetworkMTU is what the netdev has, in bytes: room for RoCE's greatest MTU.
const NetworkMTU = 9000

// PeerDevice is the port of the guest's peer, as udev would call it.
const PeerDevice = "/dev/virtio-ports/" + PortPeer

// PmemDevice is what the kernel calls the first device of persistent memory.
const PmemDevice = "/dev/pmem0"

// GuestTmp is a directory of the scratch disk itself. TMPDIR points to it: /tmp is
// part of the overlay, so that files of the host's /tmp are seen, but an overlay is
// no place for the backing file of a loop device.
const GuestTmp = "/run/umemstress/tmp"

// InitFailure begins the line on the serial console that tells why init gave up
// before there was a control port to tell it on.
const InitFailure = "umemstress lab init: "

// SeedBytes are as many as the kernel wants before it calls its random numbers ready
// (256 bits, drivers/char/random.c).
const SeedBytes = 32

// Terminal is the one that the guest gives its program.
type Terminal struct {
	Size
	Stderr bool // it is the program's stderr, too
}

// Size is a terminal's.
type Size struct{ Rows, Cols uint16 }

// Share is a directory of the host that the guest sees at the same path and may
// write to.
type Share struct {
	Tag  string // 9p mount tag
	Path string
}

// LoadedFile is a file of the host that is in the initramfs, too. The guest's
// programs get it from there: a page of it costs a message over 9p otherwise,
// which takes milliseconds under software emulation.
type LoadedFile struct {
	Name string // in the initramfs
	Path string // on the host, without symbolic links
}
