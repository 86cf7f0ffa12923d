package devicecheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/probes/mapped"
	"umemstress/rdma"
)

// Facts are what there is to know of the device and what drives it.
type Facts struct {
	Kernel     string            `json:"kernel"` // release and version
	Name       string            `json:"name"`
	Driver     string            `json:"driver"`
	Ports      []Port            `json:"ports"`
	Attributes map[string]string `json:"attributes,omitempty"` // of sysfs: firmware, board, type
	Backend    string            `json:"backend"`
	BackendWhy string            `json:"backend_why"`
	Libraries  []string          `json:"libraries,omitempty"` // of rdma-core, that were loaded
}

// Port is one port of the device, in the words of sysfs.
type Port struct {
	Number    int    `json:"number"` // from 1
	State     string `json:"state"`
	PhysState string `json:"phys_state"`
	LinkLayer string `json:"link_layer"`
	LID       uint16 `json:"lid,omitempty"` // of InfiniBand
}

// attributes are the files of sysfs that tell one device from another.
var attributes = []string{"fw_ver", "board_id", "hca_type", "hw_rev", "node_type"}

func factsOf(d rdma.Device) Facts {
	f := Facts{Name: d.Name, Driver: d.Driver, Attributes: map[string]string{}}
	for _, p := range d.Ports {
		f.Ports = append(f.Ports, Port{p.Number, p.State.String(), p.PhysState, p.LinkLayer, p.LID})
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err == nil {
		f.Kernel = unix.ByteSliceToString(uname.Release[:]) + ", " + unix.ByteSliceToString(uname.Version[:])
	}
	for _, name := range attributes {
		text, err := os.ReadFile(filepath.Join(rdma.Sysfs, "class/infiniband", d.Name, name))
		if value := strings.TrimSpace(string(text)); err == nil && value != "" {
			f.Attributes[name] = value
		}
	}
	return f
}

// String is the device in a line.
func (f Facts) String() string {
	parts := []string{f.Name, "driver " + f.Driver}
	if f.Driver == "" {
		parts[1] = "driver unknown"
	}
	if version := f.Attributes["fw_ver"]; version != "" {
		parts = append(parts, "firmware "+version)
	}
	for _, p := range f.Ports {
		parts = append(parts, fmt.Sprintf("port %d %s (%s)", p.Number, p.State, p.LinkLayer))
	}
	return strings.Join(parts, ", ")
}

// ofRDMACore tells the libraries of rdma-core by their names. Providers end in the version of the
// interface that they share with libibverbs, but those that programs can link to do not.
var ofRDMACore = regexp.MustCompile(`^lib(ibverbs|mlx4|mlx5|efa|mana|hns)\.so|-rdmav[0-9]+\.so$`)

// libraries are those of rdma-core that this process has loaded. Their names have the versions.
func libraries() ([]string, error) {
	maps, err := mapped.Of("/proc", uint32(os.Getpid()))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range maps {
		if ofRDMACore.MatchString(filepath.Base(m.Path)) {
			found = append(found, m.Path)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
