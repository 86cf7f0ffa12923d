//go:build guest

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// Queue pairs that the connection manager has connected carry bytes that are lost as others are, whoever releases the
// regions. The modules that it takes go with the run: leaktest looks.
func TestConnectionManager(t *testing.T) {
	for _, of := range []struct{ verb, release string }{{"write", "dereg"}, {"read", "kill"}, {"send-imm", "exit"}} {
		r, _ := ran(t, "-R", "--verb", of.verb, "--release", of.release, "--bidirectional", "-q", "3", "--tclass", "104", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 {
			t.Errorf("%+v: %s (%s), want %s; %q", of, r.Verdict, r.Reason, *expectVerdict, r.Disagreements)
		}
		wantManaged(t, r, "10.77.0.1:")
		pages := uint64(r.Regions[0].Pages)
		if *expectVerdict == "data-lost" && (r.Channels.Disk.StalePages != pages || r.Channels.Probes.DirtiedPages != pages) {
			t.Errorf("%+v: %d pages, of which %d were dirtied and %d are stale", of, pages, r.Channels.Probes.DirtiedPages, r.Channels.Disk.StalePages)
		}
	}
	r, _ := ran(t, "--backend", "ibverbs", "-o", filepath.Join(t.TempDir(), "evidence"))
	if r.Settings.Manager || r.Device.ConnectedBy != record.ConnectedByVerbs || r.Device.ConnectedAt != "" {
		t.Errorf("without it: %+v", r.Device)
	}
}

// wantManaged holds run.json to a connection that the manager has made, at that address.
func wantManaged(t *testing.T, r record.Record, at string) {
	t.Helper()
	d := r.Device
	if !r.Settings.Manager || d.ConnectedBy != record.ConnectedByManager || !strings.HasPrefix(d.ConnectedAt, at) || d.Backend != "ibverbs" || !strings.Contains(d.BackendWhy, "connection manager") {
		t.Errorf("run.json has %+v, and that the connection manager was asked for: %v", d, r.Settings.Manager)
	}
}

// ip changes the network.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Connections go to another host as well, whose peer was started for that or can load a library anyway.
func TestConnectionManagerPeer(t *testing.T) {
	twoHosts(t)
	// Another device of this kernel has 10.77.0.1, too, which is as good as none then.
	ip(t, "addr", "add", "10.78.0.1/24", "dev", hereNetDev)
	ip(t, "addr", "add", "10.78.0.2/24", "dev", thereNetDev)
	scenario, want := granted()
	for _, there := range []string{"--rdma-cm", "--backend=ibverbs"} {
		sentBefore, receivedBefore := crossed(t)
		r, _ := ran(t, "--scenario", scenario, "-R", "--ib-dev", hereDevice, "--peer", peerCommand(t, there), "--bidirectional", "-n", "128", "-q", "2",
			"--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if string(r.Verdict) != want || len(r.Disagreements) > 0 {
			t.Errorf("%s: %s (%s), want %s; %q", there, r.Verdict, r.Reason, want, r.Disagreements)
		}
		wantManaged(t, r, "10.77.0.2:")
		const forward, back = 8 * 2 << 20, 6 * 2 << 20 // as of TestPeer
		sent, received := crossed(t)
		if r.Device.Peer == nil || r.Device.Peer.Name != thereDevice || sent-sentBefore < forward || received-receivedBefore < back {
			t.Errorf("%s: %d bytes crossed the wire from the other host, %d to it, which is %+v", there, sent-sentBefore, received-receivedBefore, r.Device.Peer)
		}
	}
	_, stderr, code := outcome(t, small("--scenario", scenario, "-R", "--ib-dev", hereDevice, "--peer", peerCommand(t), "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "start it as umemstress peer --rdma-cm") {
		t.Errorf("a peer that can load no library: exit code %d, %s", code, stderr)
	}
}

// A run that is killed leaves none of the modules behind that it has loaded, also while it connects. One of
// them may be there before, since OCFS2 takes it as well.
func TestConnectionManagerKilled(t *testing.T) {
	own := slices.DeleteFunc([]string{"rdma_ucm", "rdma_cm", "iw_cm", "ib_cm", "configfs"}, func(name string) bool {
		_, err := os.Stat("/sys/module/" + name)
		return err == nil && name == "configfs"
	})
	for _, phase := range []string{"phase prepare", "phase pin"} {
		killedIn(t, phase, "-R", "-q", "64")
		noModules(t, own, nothing)
	}
}

// Where librdmacm is not installed, one sentence says what to install.
func TestConnectionManagerWithoutLibrary(t *testing.T) {
	const library = "/usr/lib/x86_64-linux-gnu/librdmacm.so.1"
	file, err := filepath.EvalSymlinks(library)
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(empty, file, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(file, 0); err != nil {
			t.Error(err)
		}
	}()
	_, stderr, code := outcome(t, small("-R", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "librdmacm.so.1") || !strings.Contains(stderr, "apt-get install librdmacm1") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// A device whose netdev has no address is none to the connection manager, and what to do about it is said.
func TestConnectionManagerWithoutAddress(t *testing.T) {
	twoHosts(t)
	for _, netdev := range []string{hereNetDev, thereNetDev} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", netdev, "disable_ipv6"), []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	ip(t, "addr", "del", "10.77.0.1/24", "dev", hereNetDev)
	_, stderr, code := outcome(t, small("-R", "--ib-dev", hereDevice, "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "ip addr add ADDRESS/24 dev NETDEV") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
