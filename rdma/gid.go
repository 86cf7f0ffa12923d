package rdma

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GID is an entry of a port's address table.
type GID struct {
	Index  int        `json:"index"`
	Addr   netip.Addr `json:"gid"`    // RoCE v2 over IPv4 has an IPv4-mapped address
	Type   string     `json:"type"`   // "RoCE v2", "IB/RoCE v1"
	NetDev string     `json:"netdev"` // empty for InfiniBand
}

const typeRoCEv2 = "RoCE v2"

// GIDs yields the entries in use of a port's address table, in the order of their
// indices. A table may have 1024 entries, each a file in sysfs, which takes a
// slow machine a second: stop at the one that is wanted.
func (d Device) GIDs(port int) iter.Seq2[GID, error] {
	dir := filepath.Join(d.sysfs, "class/infiniband", d.Name, "ports", strconv.Itoa(port))
	return func(yield func(GID, error) bool) {
		entries, err := os.ReadDir(filepath.Join(dir, "gids"))
		if err != nil {
			yield(GID{}, newError("read", "GIDs of "+portLabel(d, port), err))
			return
		}
		// The names are numbers without gaps, but sorted as text.
		for index := range entries {
			g, used, err := readGID(dir, index)
			if err != nil {
				yield(GID{}, newError("read", fmt.Sprintf("GID %d of %s", index, portLabel(d, port)), err))
				return
			}
			if used && !yield(g, nil) {
				return
			}
		}
	}
}

// readGID reads one entry. An unused one is all zero or, depending on the kernel,
// cannot be read.
func readGID(port string, index int) (g GID, used bool, err error) {
	name := strconv.Itoa(index)
	text, err := readLine(filepath.Join(port, "gids", name))
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return GID{}, false, err
	}
	if err != nil {
		return GID{}, false, nil
	}
	if g.Addr, err = netip.ParseAddr(text); err != nil {
		return GID{}, false, err
	}
	if !g.Addr.Is6() || g.Addr.Zone() != "" {
		return GID{}, false, fmt.Errorf("%q is no GID", text)
	}
	if g.Addr == netip.IPv6Unspecified() {
		return GID{}, false, nil
	}
	g.Index = index
	// Both files fail with EINVAL for an entry that has no such attribute.
	g.Type, _ = readLine(filepath.Join(port, "gid_attrs/types", name))
	g.NetDev, _ = readLine(filepath.Join(port, "gid_attrs/ndevs", name))
	return g, true, nil
}

// chooseGID finds the entry of that index, or what AutoGID promises.
func chooseGID(d Device, port int, index int) (GID, error) {
	if index > maxGIDIndex {
		return GID{}, &Error{Op: "use", Object: fmt.Sprintf("GID %d of %s", index, portLabel(d, port)),
			reason: limitError("index", index, 0, maxGIDIndex)}
	}
	var best GID
	bestRank := 0
	var have []string
	for g, err := range d.GIDs(port) {
		if err != nil {
			return GID{}, err
		}
		if g.Index == index {
			return g, nil
		}
		if g.Index > maxGIDIndex {
			break // a table may be longer than a request can say
		}
		have = append(have, fmt.Sprintf("%d (%v, %s)", g.Index, g.Addr, g.Type))
		if r := rank(g); index == AutoGID && r > bestRank {
			best, bestRank = g, r
		}
		if bestRank == rankIPv4 {
			break
		}
	}
	if bestRank > 0 {
		return best, nil
	}
	e := &Error{Op: "use", Object: fmt.Sprintf("GID %d of %s", index, portLabel(d, port)), lacks: true,
		reason: errors.New("it does not exist"), Remedy: "give the netdev an address"}
	if index == AutoGID {
		e.Object, e.reason = portLabel(d, port), errors.New("it has no GID")
	}
	if len(have) > 0 {
		e.Remedy = "choose one of " + strings.Join(have, ", ")
	}
	return GID{}, e
}

const rankIPv4 = 3

func rank(g GID) int {
	switch {
	case g.Type == typeRoCEv2 && g.Addr.Is4In6():
		return rankIPv4
	case g.Type == typeRoCEv2:
		return 2
	}
	return 1
}
