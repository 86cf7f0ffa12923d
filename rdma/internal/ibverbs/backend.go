package ibverbs

import (
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// backend is an open device. The library destroys nothing along with something else, so that
// what is left when it is closed is known here.
type backend struct {
	library *library
	address uintptr // of its struct ibv_context
	context *context

	events sync.Mutex // one reader of them at once

	mu      sync.Mutex
	domains map[uintptr]struct{}
	regions map[uintptr]struct{}
	windows map[uintptr]uintptr // with the regions that they are bound to; 0: none
	queues  map[*cq]struct{}
	pairs   map[*qp]struct{}
	shared  map[*srq]struct{}
	ways    map[uintptr]struct{} // address handles
}

// Open opens the device of that name, such as mlx5_0. An error is an errno, or one of ErrLibrary,
// ErrStatic and ErrProvider.
func Open(name string) (verbs.Backend, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	address, err := l.openNamed(name)
	if err != nil {
		return nil, err
	}
	b := &backend{
		library: l, address: address, context: at[context](address),
		domains: map[uintptr]struct{}{}, regions: map[uintptr]struct{}{}, windows: map[uintptr]uintptr{},
		queues: map[*cq]struct{}{}, pairs: map[*qp]struct{}{}, shared: map[*srq]struct{}{}, ways: map[uintptr]struct{}{},
	}
	if b.context.PollCQ == 0 || b.context.PostSend == 0 || b.context.PostRecv == 0 {
		return nil, errors.Join(unix.EPROTO, b.Close())
	}
	if err := unix.SetNonblock(int(b.context.AsyncFD), true); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// openNamed opens the listed device of that name.
func (l *library) openNamed(name string) (address uintptr, err error) {
	var count int32
	var list uintptr
	lend(&count, func(n uintptr) { list, err = l.make(l.getDeviceList, n) })
	if err != nil {
		return 0, err
	}
	defer l.call(l.freeDeviceList, list)
	for i := range uintptr(count) {
		listed := *at[uintptr](list + i*sizeOf[uintptr](1))
		if unix.ByteSliceToString(at[device](listed).Name[:]) != name {
			continue
		}
		if address, err = l.make(l.openDevice, listed); err != nil {
			return 0, err
		}
		if at[context](address).Device != listed {
			return 0, unix.EPROTO // not closed: who knows what it is
		}
		return address, nil
	}
	return 0, ErrProvider
}

// Close gives everything back, users before what they use: a window of type 2 uses what it was bound through.
func (b *backend) Close() error {
	var errs []error
	for window := range b.windows {
		errs = append(errs, unlessGone(b.DeallocMW(verbs.Handle(window))))
	}
	for q := range b.pairs {
		errs = append(errs, unlessGone(q.Destroy()))
	}
	for way := range b.ways {
		errs = append(errs, unlessGone(b.DestroyAH(verbs.Handle(way))))
	}
	for q := range b.shared {
		errs = append(errs, unlessGone(q.Destroy()))
	}
	for region := range b.regions {
		errs = append(errs, unlessGone(b.DeregisterMR(verbs.Handle(region))))
	}
	for q := range b.queues {
		errs = append(errs, unlessGone(q.Destroy()))
	}
	for domain := range b.domains {
		errs = append(errs, unlessGone(b.DeallocPD(verbs.Handle(domain))))
	}
	return errors.Join(append(errs, b.library.do(b.library.closeDevice, b.address))...)
}

// unlessGone drops the error of destroying what a removed device has destroyed.
func unlessGone(err error) error {
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (b *backend) QueryDevice() (verbs.DeviceAttr, error) {
	var attr deviceAttr
	var err error
	lend(&attr, func(a uintptr) { err = b.library.do(b.library.queryDevice, b.address, a) })
	return verbs.DeviceAttr{MaxDestRDAtomic: uint32(max(0, attr.MaxQPRDAtom)), MaxRDAtomic: uint32(max(0, attr.MaxQPInitRDAtom))}, err
}

func (b *backend) QueryPort(port uint8) (verbs.PortAttr, error) {
	var attr portAttr
	var err error
	lend(&attr, func(a uintptr) { err = b.library.do(b.library.queryPort, b.address, uintptr(port), a) })
	return verbs.PortAttr{State: verbs.PortState(attr.State), ActiveMTU: verbs.MTU(attr.ActiveMTU)}, err
}

func (b *backend) AllocPD() (verbs.Handle, error) {
	domain, err := b.library.make(b.library.allocPD, b.address)
	if err != nil {
		return 0, err
	}
	if at[pd](domain).Context != b.address {
		return 0, unix.EPROTO
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.domains[domain] = struct{}{}
	return verbs.Handle(domain), nil
}

func (b *backend) DeallocPD(handle verbs.Handle) error {
	domain := uintptr(handle)
	if !known(b, b.domains, domain) {
		return unix.EINVAL
	}
	return ended(b, b.domains, domain, b.library.do(b.library.deallocPD, domain))
}

// RegisterMR is RegisterMRs of one.
func (b *backend) RegisterMR(handle verbs.Handle, mem []byte, access verbs.Access) (verbs.MR, error) {
	var into [1]verbs.MR
	_, err := b.RegisterMRs(handle, [][]byte{mem}, access, into[:])
	return into[0], err
}

// RegisterMRs has the function of the library pin: the header's macro differs for access flags
// that are not asked for here. It stays on one thread, so that errno is found once.
func (b *backend) RegisterMRs(handle verbs.Handle, mems [][]byte, access verbs.Access, into []verbs.MR) (int, error) {
	domain := uintptr(handle)
	if !known(b, b.domains, domain) {
		return 0, unix.EINVAL
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := b.library.thread()
	n, err := verbs.EachOf(mems, into, func(mem []byte) (verbs.MR, error) { return b.register(t, domain, mem, access) })
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, region := range into[:n] {
		b.regions[uintptr(region.Handle)] = struct{}{}
	}
	return n, err
}

func (b *backend) register(t thread, domain uintptr, mem []byte, access verbs.Access) (verbs.MR, error) {
	address := verbs.AddressOf(mem)
	region, err := created(t.call(b.library.regMR, domain, uintptr(address), uintptr(len(mem)), uintptr(access)))
	if err != nil {
		return verbs.MR{}, err
	}
	is := at[mr](region)
	if is.PD != domain || is.Addr != address || is.Length != uint64(len(mem)) {
		return verbs.MR{}, unix.EPROTO
	}
	return verbs.MR{Handle: verbs.Handle(region), LKey: is.LKey, RKey: is.RKey}, nil
}

// DeregisterMR does not ask the library while a window is bound to the region: what it has done when that fails, nobody knows.
func (b *backend) DeregisterMR(handle verbs.Handle) error {
	region := uintptr(handle)
	switch {
	case !known(b, b.regions, region):
		return unix.EINVAL
	case b.bound(region):
		return unix.EBUSY
	}
	return ended(b, b.regions, region, b.library.do(b.library.deregMR, region))
}

// known says whether an object is alive: the library would follow any address.
func known[T comparable, V any](b *backend, alive map[T]V, object T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, is := alive[object]
	return is
}

// ended forgets an object that was destroyed, unless it is still in use. What failed otherwise
// is not tried again: the library may have freed it.
func ended[T comparable, V any](b *backend, alive map[T]V, object T, err error) error {
	if errors.Is(err, unix.EBUSY) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(alive, object)
	return err
}

// ReregisterMR asks the provider, which may have no such function. What the library returns of a failure is no errno, but how
// far it came (enum ibv_rereg_mr_err_code).
func (b *backend) ReregisterMR(handle verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
	region := uintptr(handle)
	if !known(b, b.regions, region) || to.Mask == 0 {
		return verbs.MR{}, unix.EINVAL
	}
	is := at[mr](region)
	address, length := is.Addr, is.Length
	var access uintptr // the library refuses one that is not to change
	if to.Mask&verbs.ReregAccess != 0 {
		access = uintptr(to.Access)
	}
	var start uintptr
	if to.Mask&verbs.ReregMemory != 0 {
		address, length = verbs.AddressOf(to.Mem), uint64(len(to.Mem))
		start = uintptr(address)
	}
	const sameDomain = 0
	status, errno := b.library.call(b.library.reregMR, region, uintptr(to.Mask), sameDomain, start, uintptr(len(to.Mem)), access)
	if int32(status) != 0 {
		return verbs.MR{}, noSilence(errno)
	}
	if is.Addr != address || is.Length != length {
		return verbs.MR{}, unix.EPROTO
	}
	return verbs.MR{Handle: handle, LKey: is.LKey, RKey: is.RKey}, nil
}
