package lab

// What host and guest agree upon: the places in the initramfs and the events on
// the control port, one JSON object per line.

const (
	specPath    = "/umemstress-lab.json" // a spec; its presence marks the lab's guest
	initPath    = "/init"
	modulesPath = "/boot-modules" // STAGE/NNN-name.ko

	portControl = "umemstress.control"
	portStdout  = "umemstress.stdout"
	portStderr  = "umemstress.stderr"

	rootTag = "hostroot" // 9p mount tag of the host's file tree

	scratchSerial = "scratch" // serial number of the scratch disk
)

// spec tells the guest's init what to do.
type spec struct {
	Release string   // uname -r of the guest's kernel
	Modules string   // lib/modules/RELEASE on the host
	Program []string // program and its arguments
	Dir     string   // working directory
	Env     []string
	Shares  []share
	Device  bool // bring up soft-RoCE
	Loaded  []loadedFile
	Seed    []byte // of the guest's random numbers, seedBytes long
}

// The stages of boot modules, each a directory of modulesPath.
const (
	stageBus     = "0-bus" // before all others
	stageHost    = "host"
	stageScratch = "scratch"
	stageLoop    = "loop"
	stageDevice  = "device"
)

// guestTmp is a directory of the scratch disk itself. TMPDIR points to it: /tmp is
// part of the overlay, so that files of the host's /tmp are seen, but an overlay is
// no place for the backing file of a loop device.
const guestTmp = "/run/umemstress/tmp"

// initFailure begins the line on the serial console that tells why init gave up
// before there was a control port to tell it on.
const initFailure = "umemstress lab init: "

// seedBytes are as many as the kernel wants before it calls its random numbers ready
// (256 bits, drivers/char/random.c).
const seedBytes = 32

// share is a directory of the host that the guest sees at the same path and may
// write to.
type share struct {
	Tag  string // 9p mount tag
	Path string
}

// loadedFile is a file of the host that is in the initramfs, too. The guest's
// programs get it from there: a page of it costs a message over 9p otherwise,
// which takes milliseconds under software emulation.
type loadedFile struct {
	Name string // in the initramfs
	Path string // on the host, without symbolic links
}
