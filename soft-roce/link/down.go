package link

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"umemstress/rdma"
)

// Down removes the link of that name, over whatever netdev, together with its veth pair if Up made it.
// An empty name stands for everything that Up made over its own pairs, even what
// a killed Up left. It returns the names of the links it removed.
//
// A link that a process has open is not removed: the kernel would keep the
// caller waiting, beyond the reach of signals, until that process closes it.
func Down(c Config) ([]string, error) {
	name, object := c.Name, "links"
	if name != "" {
		object = "link " + name
	}
	devices, err := rdmaDevices()
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(c.Log)
	if err != nil {
		return nil, &Error{Op: "remove", Object: object, Err: err}
	}
	defer net.close()
	own, err := net.ownPairs()
	if err != nil {
		return nil, newError("list", "netdevs", err)
	}
	var removed []string
	found := false
	for _, d := range devices {
		peer, isOwn := own[d.NetDev]
		if d.Driver != rdma.DriverRxe || name == "" && !isOwn || name != "" && name != d.Name {
			continue
		}
		found = true
		if err := remove(net, d, isOwn); err != nil {
			return removed, err
		}
		removed = append(removed, d.Name)
		delete(own, d.NetDev)
		delete(own, peer)
	}
	if name != "" {
		if !found {
			return nil, &Error{Op: "remove", Object: object, lacks: true,
				Err: errors.New("there is no soft-RoCE link of this name"), Remedy: "see umemstress soft-roce status"}
		}
		return removed, nil
	}
	for netdev, peer := range own {
		if !unused(devices, netdev) || !unused(devices, peer) {
			continue
		}
		net.log.Debugf("removing the veth pair of %s, which has no link", netdev)
		if err := net.removePair(netdev); err != nil {
			return removed, newError("remove", "netdev "+netdev, err)
		}
	}
	return removed, nil
}

func unused(devices []rdma.Device, netdev string) bool {
	for _, d := range devices {
		if d.NetDev == netdev {
			return false
		}
	}
	return true
}

func remove(net *network, d rdma.Device, own bool) error {
	users, err := usersOf("/proc", "/dev/infiniband/"+d.Uverbs)
	if err != nil {
		return &Error{Op: "remove", Object: "link " + d.Name, Err: err}
	}
	if len(users) > 0 {
		return &Error{Op: "remove", Object: "link " + d.Name, Remedy: "end it first",
			Err: fmt.Errorf("it is in use by %s", strings.Join(users, ", "))}
	}
	if err := net.handle.RdmaLinkDel(d.Name); err != nil {
		return newError("remove", "link "+d.Name, err)
	}
	net.log.Debugf("removed the link %s", d.Name)
	if !own {
		return nil
	}
	if err := net.removePair(d.NetDev); err != nil {
		return newError("remove", "netdev "+d.NetDev, err)
	}
	net.log.Debugf("removed the veth pair of %s", d.NetDev)
	return nil
}

// usersOf names the processes that have the file open. Processes that end
// meanwhile, or that the caller may not look into, are passed over.
func usersOf(proc, file string) ([]string, error) {
	fds, err := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*"))
	if err != nil {
		return nil, err
	}
	var users []string
	last := ""
	for _, fd := range fds {
		dir := filepath.Dir(filepath.Dir(fd))
		if target, err := os.Readlink(fd); err != nil || target != file || dir == last {
			continue
		}
		last = dir
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		users = append(users, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm))))
	}
	return users, nil
}
