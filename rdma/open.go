package rdma

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"umemstress/rdma/internal/ibverbs"
	"umemstress/rdma/internal/softroce"
	"umemstress/rdma/internal/verbs"
)

// Backend is how verbs reach a device.
type Backend string

// The ways, as a user chooses them. AutoBackend is Uverbs for soft-RoCE devices, and IBVerbs for
// all others.
const (
	AutoBackend Backend = "auto"
	Uverbs      Backend = "uverbs"  // this package's own: soft-RoCE alone, without a library
	IBVerbs     Backend = "ibverbs" // rdma-core's libibverbs: every device that has a provider on this host
)

// Backends are all of them.
func Backends() []Backend { return []Backend{AutoBackend, Uverbs, IBVerbs} }

// Choose is the backend that a device is opened through, and why.
func (b Backend) Choose(d Device) (chosen Backend, why string) {
	switch {
	case b != AutoBackend:
		return b, "it was asked for"
	case d.Driver == DriverRxe:
		return Uverbs, "the queues of " + DriverRxe + " are known without a library"
	}
	driver := cmp.Or(d.Driver, "this device")
	return IBVerbs, "the queues of " + driver + " are known to its provider in rdma-core alone"
}

const deviceNodes = "/dev/infiniband"

// Open opens a device found by [Devices] or [FindDevice], through the backend that suits it.
//
// A process that changes its credentials cannot use devices, not even one that it
// opens afterwards, because in Go every thread then has its own: EACCES. Start the
// process with the credentials it shall have.
func Open(d Device) (*Context, error) { return OpenThrough(d, AutoBackend) }

// OpenThrough opens a device through the given backend.
func OpenThrough(d Device, asked Backend) (*Context, error) {
	label := "device " + d.Name
	if !slices.Contains(Backends(), asked) {
		return nil, &Error{Op: "open", Object: label, reason: fmt.Errorf("there is no backend %q", asked),
			Remedy: fmt.Sprintf("choose one of %v", Backends())}
	}
	if d.Uverbs == "" {
		return nil, &Error{Op: "open", Object: label, lacks: true,
			reason: errors.New("it has no uverbs device"), Remedy: "load the module: modprobe ib_uverbs"}
	}
	chosen, _ := asked.Choose(d)
	if chosen == Uverbs && d.Driver != DriverRxe {
		_, why := AutoBackend.Choose(d)
		return nil, &Error{Op: "open", Object: label, lacks: true, reason: errors.New(why),
			Remedy: "use the backend ibverbs, choose a soft-RoCE device, or make one: umemstress soft-roce up"}
	}
	b, err := openBackend(d, chosen)
	if err != nil {
		return nil, newOpenError(label, err)
	}
	return newContext(d, b), nil
}

func openBackend(d Device, chosen Backend) (verbs.Backend, error) {
	if chosen == IBVerbs {
		return ibverbs.Open(d.Name)
	}
	return softroce.Open(filepath.Join(deviceNodes, d.Uverbs))
}

// CanLoad says whether this program was built to load a library, as [IBVerbs] does.
const CanLoad = ibverbs.CanLoad

// LibraryError says why the backend [IBVerbs] cannot be used on this host; nil: its library is
// there. Whether it has a provider for a device shows when that is opened.
func LibraryError() error {
	err := ibverbs.Load()
	if err == nil {
		return nil
	}
	return newOpenError("rdma-core's library", err)
}

// providers are what users install for the library and its providers.
const providers = "apt-get install ibverbs-providers, or dnf install libibverbs"

// libraryError is the error of a device that libibverbs does not open, if that is the reason.
func libraryError(object string, err error) *Error {
	e := &Error{Op: "open", Object: object, lacks: true, reason: err}
	switch {
	case errors.Is(err, ibverbs.ErrStatic):
		e.Remedy = "use umemstress-ibverbs, which 'make build' and the packages put beside umemstress, or a soft-RoCE device"
	case errors.Is(err, ibverbs.ErrProvider):
		e.Remedy = "install rdma-core's providers (" + providers + "), or the vendor's, in the version of the library itself"
	case errors.Is(err, ibverbs.ErrLibrary):
		e.Remedy = "install it with its providers: " + providers
	default:
		return nil
	}
	return e
}
