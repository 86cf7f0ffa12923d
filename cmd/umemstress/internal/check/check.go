// Package check says what this host allows: what can be done on it, what is missing,
// what that costs and how to get it. Looking changes nothing.
package check

import "slices"

// Schema names the form of a Document in JSON. Its fields are not renamed within a
// version.
const Schema = "umemstress.check/v1"

// State is how an item stands.
type State string

const (
	OK      State = "ok"
	Missing State = "missing" // something cannot be done without it
	Warning State = "warning" // it can be done, but worse, or with a danger
)

// Item is one fact about the host. What is not ok says what that costs and how
// to get it.
type Item struct {
	Name   string `json:"name"` // may be GROUP: NAME
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Costs  string `json:"costs,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Kernel is the kernel that runs. Nothing is concluded from its version.
type Kernel struct {
	Release string `json:"release"`
	Version string `json:"version"`
}

// Abilities say what the host allows as it is now. A run where the kernel might
// panic is possible, but wants --allow-crash.
type Abilities struct {
	Run         bool `json:"run"`          // with the holder rdma
	RunDIO      bool `json:"run_dio"`      // with the holder dio
	RunVMWritev bool `json:"run_vmwritev"` // with the holder vmwritev
	RunVMCI     bool `json:"run_vmci"`     // with the holder vmci
	RunNFS      bool `json:"run_nfs"`      // with the holder nfs
	RunAIO      bool `json:"run_aio"`      // with the holder aio
	RunURing    bool `json:"run_uring"`    // with the holder uring
	RunFUSE     bool `json:"run_fuse"`     // with the holder fuse
	RunV4L2     bool `json:"run_v4l2"`     // with the holder v4l2, and a device of vivid
	RunXDP      bool `json:"run_xdp"`      // with the holder xdp
	Run9P       bool `json:"run_9p"`       // with the holder 9p, where its reads pin (Linux 6.8, or a share of late reads)
	Observe     bool `json:"observe"`      // the probes, of all holders
	Lab         bool `json:"lab"`
}

// Some says whether anything can be done. Probes alone do nothing.
func (a Abilities) Some() bool {
	return a.Run || a.RunDIO || a.RunVMWritev || a.RunVMCI || a.RunNFS || a.RunAIO || a.RunURing || a.RunFUSE || a.RunV4L2 || a.RunXDP || a.Run9P || a.Lab
}

// Document is everything that was found.
type Document struct {
	Schema string    `json:"schema"`
	Kernel Kernel    `json:"kernel"`
	Items  []Item    `json:"items"`
	Can    Abilities `json:"can"`
}

// Here looks at this host.
func Here() (Document, error) {
	h, err := thisHost()
	if err != nil {
		return Document{}, err
	}
	return h.check(), nil
}

// check gathers everything. An ability is there if no item that it stands on is
// missing.
func (h *host) check() Document {
	mounts, mountsErr := h.mounts()
	device, deviceFound := h.deviceItems()
	limit := h.lockItem()
	scratch := h.scratchItem(mounts)
	dio, vmwritev, vmci, nfs, fuse, v4l2, xdp, p9 := h.dioItem(), h.vmwritevItem(), h.vmciItem(), h.nfsItem(), h.fuseItem(), h.v4l2Item(), h.xdpItem(), h.p9Item()
	aio, uring := h.queuedItems("aio", h.aio), h.queuedItems("uring", h.uring)
	features, featuresSuffice := h.featureItems()
	hooks := h.hookItem()
	tools := h.labItems()

	var items []Item
	items = append(items, device...)
	items = append(items, dio, vmwritev, vmci, v4l2, xdp, nfs, fuse, p9)
	items = slices.Concat(items, aio, uring)
	items = append(items, h.privilegeItem(), limit, scratch, h.kmsgItem())
	items = append(items, h.dangerItems()...)
	items = append(items, h.filesystemItems(mounts, mountsErr)...)
	items = append(items, features...)
	items = append(items, hooks)
	items = append(items, tools...)
	items = append(items, h.kernelSourceItem(), h.kvmItem())
	return Document{
		Schema: Schema,
		Kernel: h.kernel,
		Items:  items,
		Can: Abilities{
			Run:         deviceFound && nothingMissing(limit, scratch),
			RunDIO:      nothingMissing(dio, scratch),
			RunVMWritev: nothingMissing(vmwritev, scratch),
			RunVMCI:     nothingMissing(vmci, scratch),
			RunNFS:      nothingMissing(nfs, scratch),
			RunAIO:      nothingMissing(append(aio, dio, scratch)...),
			RunURing:    nothingMissing(append(uring, dio, scratch)...),
			RunFUSE:     nothingMissing(fuse, scratch),
			RunV4L2:     nothingMissing(v4l2, scratch),
			RunXDP:      nothingMissing(xdp, scratch),
			Run9P:       nothingMissing(p9, scratch),
			Observe:     featuresSuffice && nothingMissing(hooks),
			Lab:         nothingMissing(tools...),
		},
	}
}

func nothingMissing(items ...Item) bool {
	return !slices.ContainsFunc(items, func(i Item) bool { return i.State == Missing })
}
