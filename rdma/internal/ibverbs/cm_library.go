package ibverbs

import (
	"errors"
	"fmt"
	"sync"
)

// ErrManager is of a librdmacm that cannot be loaded, or lacks a function.
var ErrManager = errors.New("rdma-core's librdmacm cannot be used")

const managerName = "librdmacm.so.1"

// managing has the functions of librdmacm, by address, and of libibverbs those by which all are called.
type managing struct {
	*library
	createEventChannel, destroyEventChannel uintptr
	createID, destroyID, setOption          uintptr
	bindAddr, listen, getSrcPort            uintptr
	resolveAddr, resolveRoute               uintptr
	initQPAttr                              uintptr
	connect, accept, reject, establish      uintptr
	getEvent, ackEvent                      uintptr
}

// loadManager loads librdmacm, once for all: it stays until the process ends, and keeps open until then each device that it
// has met (dlclose does not have it close them: seen with rdma-core 44). It is linked to the very libibverbs that devices
// are opened by.
var loadManager = sync.OnceValues(func() (*managing, error) {
	verbs, err := load()
	if err != nil {
		return nil, err
	}
	handle, err := open(managerName, ErrManager)
	if err != nil {
		return nil, err
	}
	m := &managing{library: verbs}
	for name, to := range map[string]*uintptr{
		"rdma_create_event_channel":  &m.createEventChannel,
		"rdma_destroy_event_channel": &m.destroyEventChannel,
		"rdma_create_id":             &m.createID,
		"rdma_destroy_id":            &m.destroyID,
		"rdma_set_option":            &m.setOption,
		"rdma_bind_addr":             &m.bindAddr,
		"rdma_listen":                &m.listen,
		"rdma_get_src_port":          &m.getSrcPort,
		"rdma_resolve_addr":          &m.resolveAddr,
		"rdma_resolve_route":         &m.resolveRoute,
		"rdma_init_qp_attr":          &m.initQPAttr,
		"rdma_connect":               &m.connect,
		"rdma_accept":                &m.accept,
		"rdma_reject":                &m.reject,
		"rdma_establish":             &m.establish,
		"rdma_get_cm_event":          &m.getEvent,
		"rdma_ack_cm_event":          &m.ackEvent,
	} {
		if *to, err = symbol(handle, name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrManager, err)
		}
	}
	return m, nil
})
