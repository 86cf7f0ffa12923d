package matrix

import "strings"

// siwHolder is what a scenario has for its holder that is rdma over soft-iWARP (siw), in place of soft-RoCE. Up to
// Linux 6.7 that pins and releases pages by code of its own.
const siwHolder = "rdma-siw"

// OverSiw is the scenario as 'umemstress run' knows it, and whether it is to run over [SiwDevice].
func OverSiw(scenario string) (known string, is bool) {
	if rest, is := strings.CutPrefix(scenario, siwHolder+"/"); is {
		return "rdma/" + rest, true
	}
	return scenario, false
}

// SiwDevice is what [WithSiw] makes.
const SiwDevice = "siw0"

// WithSiw is a program of the shell that makes a device of soft-iWARP in a guest, unless it is there, and goes on as
// the command that it is given. The device has a netdev of its own: by the address of one that is shared, the
// connection manager would find the other device.
const WithSiw = `modprobe siw
[ -e /sys/class/infiniband/` + SiwDevice + ` ] || {
	ip link add siwnet0 type veth peer name siwnet1
	ip link set siwnet1 up
	ip link set siwnet0 up
	ip addr add 10.79.0.1/24 dev siwnet0
	rdma link add ` + SiwDevice + ` type siw netdev siwnet0
}
exec "$@"`
