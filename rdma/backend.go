package rdma

// The seam between the verbs objects of this package and who carries them out:
// today the kernel's uverbs ABI with the queues of rdma_rxe. What is above the
// seam (life times, order of closing, limits, meaning of errors) is the same for
// every device; what is below knows how one kind of device does it and returns
// bare errnos. Handles are the backend's own.

// backend is an open device. Its methods may be called by several goroutines at
// once, except close, which is the last.
type backend interface {
	queryPort(number int) (portAttributes, error)
	// fatal says whether the device has reported its own end.
	fatal() bool
	allocPD() (handle, error)
	deallocPD(handle) error
	registerMR(pd handle, mem []byte, access Access) (region, error)
	deregisterMR(handle) error
	createCQ(entries int) (completionQueue, error)
	createQP(pd handle, send, recv completionQueue, cfg QPConfig) (queuePair, error)
	// close destroys whatever is left too.
	close() error
}

type handle uint64

type region struct {
	handle     handle
	lkey, rkey uint32
}

type portAttributes struct {
	state     PortState
	activeMTU int // bytes
}

// completionQueue is never called by two goroutines at once, nor after destroy.
type completionQueue interface {
	poll([]Completion) int
	destroy() error
}

// queuePair is never called by two goroutines at once, nor after destroy.
type queuePair interface {
	number() uint32
	connect(connection) error
	// post queues as many of the requests as fit, rings once and says how many.
	post([]WriteRequest) (int, error)
	destroy() error
}

// connection is everything that a queue pair must know to reach another one.
type connection struct {
	path      Path
	remote    Address
	localPSN  uint32
	reliable  bool
	remoteGID [16]byte
}
