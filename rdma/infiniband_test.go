package rdma

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"umemstress/rdma/internal/verbs"
)

// hca is an HCA whose first port is InfiniBand's, with what is changed of it.
func hca(t *testing.T, changed map[string]string) *Context {
	t.Helper()
	const port = "class/infiniband/mlx5_0/ports/1/"
	files := mlx(map[string]string{})
	maps.Copy(files, map[string]string{port + "state": "4: ACTIVE", port + "link_layer": "InfiniBand", port + "lid": "0x4"})
	for name, text := range changed {
		files[port+name] = text
	}
	f, _ := newFake()
	return newContext(Device{Name: "mlx5_0", Uverbs: "uverbs0", sysfs: tree(t, files)}, f.Open())
}

// A port of InfiniBand is reached by its LID, and through a GID, too, where one is asked for.
func TestInfiniBandPath(t *testing.T) {
	path, err := hca(t, nil).Path(PathConfig{GIDIndex: AutoGID})
	if err != nil || path.LID != 4 || path.GID.Addr.IsValid() || path.Port != 1 {
		t.Errorf("%+v, %v", path, err)
	}
	path, err = hca(t, nil).Path(PathConfig{GIDIndex: 0})
	if err != nil || path.LID != 4 || !path.GID.Addr.IsValid() {
		t.Errorf("with a GID: %+v, %v", path, err)
	}
	path, err = hca(t, map[string]string{"pkeys/1": "0x8001"}).Path(PathConfig{GIDIndex: AutoGID, PKeyIndex: 1, ServiceLevel: 15, TrafficClass: 255})
	if err != nil || path.PKeyIndex != 1 || path.ServiceLevel != 15 || path.TrafficClass != 255 {
		t.Errorf("with all that it may have: %+v, %v", path, err)
	}
	for want, cfg := range map[string]PathConfig{
		"no partition key of index 2": {PKeyIndex: 2}, "no partition key of index 3": {PKeyIndex: 3}, "service level 16": {ServiceLevel: 16},
		"traffic class 256": {TrafficClass: 256}, "P_Key index -1": {PKeyIndex: -1},
	} {
		cfg.GIDIndex = AutoGID
		if _, err := hca(t, map[string]string{"pkeys/2": "0x0000"}).Path(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	for mtu, lacks := range map[int]bool{4096: true, 1500: false} { // the port's own is 1024
		var e *Error
		if _, err := hca(t, nil).Path(PathConfig{GIDIndex: AutoGID, MTU: mtu}); !errors.As(err, &e) || e.HostLacks() != lacks || !strings.Contains(err.Error(), "at most 1024") {
			t.Errorf("MTU %d: %v", mtu, err)
		}
	}
	if _, err := hca(t, map[string]string{"lid": "0x0"}).Path(PathConfig{GIDIndex: AutoGID}); err == nil || !strings.Contains(err.Error(), "no LID") || !strings.Contains(err.Error(), "subnet manager") {
		t.Errorf("without a subnet manager: %v", err)
	}
	if _, err := hca(t, map[string]string{"lid": "0x10000"}).Path(PathConfig{GIDIndex: AutoGID}); err == nil {
		t.Error("a LID of 17 bits")
	}
}

// The peer's LID is where a connection goes, and the port's own where the peer is on the same.
func TestInfiniBandConnect(t *testing.T) {
	for _, c := range []struct{ remote, want uint16 }{{0, 4}, {9, 9}} {
		path := Path{Port: 1, LID: 4, MTU: 4096}
		qp := &QP{object: &object{ctx: &Context{}}, config: QPConfig{Type: RC}, pair: &steps{}}
		if err := qp.Connect(Address{QPN: 1, LID: c.remote}, path); err != nil {
			t.Fatal(err)
		}
		if got := qp.pair.(*steps).rtr.AH; got != (verbs.AH{DLID: c.want, Port: 1}) {
			t.Errorf("%+v, want LID %d", got, c.want)
		}
	}
}

// steps is a queue pair that remembers the way to its peer.
type steps struct {
	sink
	rtr verbs.QPAttr
}

func (s *steps) Modify(attr verbs.QPAttr) error {
	if attr.State == verbs.ReadyToRecv {
		s.rtr = attr
	}
	return nil
}
