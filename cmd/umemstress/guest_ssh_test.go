//go:build guest

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
)

// sshServer is a server of the test's own and the command that reaches it. It is dropbear, whose
// package starts nothing on the host; the client is OpenSSH's.
type sshServer struct {
	process *os.Process
	client  string
}

// serveSSH lets in who has a key of the test's. Root has an empty home meanwhile, without what a shell reads there.
func serveSSH(t *testing.T) sshServer {
	t.Helper()
	host, user := filepath.Join(t.TempDir(), "host"), filepath.Join(t.TempDir(), "user")
	shell(t, `mount -t tmpfs -o mode=700 home /root; mkdir -m 700 /root/.ssh
		dropbearkey -t ed25519 -f "$1" >/dev/null 2>&1; ssh-keygen -q -t ed25519 -N '' -f "$2"; cp "$2.pub" /root/.ssh/authorized_keys`, host, user)
	t.Cleanup(func() { shell(t, `umount /root`) })
	port := freePort(t)
	var log bytes.Buffer
	cmd := exec.Command("dropbear", "-F", "-E", "-s", "-r", host, "-p", "127.0.0.1:"+port, "-P", host+".pid")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("dropbear: %s", &log)
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			c.Close()
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal(err)
		}
	}
	return sshServer{cmd.Process, "ssh -i " + user + " -p " + port + " -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1"}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// peer is the command of --peer that starts the other side.
func (s sshServer) peer(t *testing.T) string {
	t.Helper()
	return "exec " + s.client + " '" + asCommand + "=1 " + peerCommand(t) + "'"
}

// The other side is reached by ssh, which says who may come in; where the connection breaks, both end.
func TestPeerThroughSSH(t *testing.T) {
	s := serveSSH(t)
	twoHosts(t)
	scenario, want := granted()
	r, _ := ran(t, "--scenario", scenario, "--ib-dev", hereDevice, "--peer", s.peer(t), "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
	if string(r.Verdict) != want || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), want %s; %q", r.Verdict, r.Reason, want, r.Disagreements)
	}

	stranger := strings.Replace(s.peer(t), " -i ", " -i /dev/null -o IdentitiesOnly=yes -F ", 1) // the key for a file of settings
	_, stderr, code := outcome(t, small("--scenario", scenario, "--ib-dev", hereDevice, "--peer", stranger)...)
	if code != exit.HostLacks || !strings.Contains(stderr, "ended without a word of umemstress peer") {
		t.Errorf("a stranger: exit code %d: %s", code, stderr)
	}

	dir := filepath.Join(t.TempDir(), "evidence")
	run := begin(t, "phase write", small("--scenario", scenario, "--ib-dev", hereDevice, "--peer", s.peer(t), "-D", "60", "-o", dir)...)
	shell(t, fmt.Sprint("pkill -KILL -P ", s.process.Pid)) // who serves the connection
	if code := run.end(t, time.Minute); code != exit.Failed || !strings.Contains(run.log.text.String(), "the peer on ") {
		t.Errorf("exit code %d: %s", code, &run.log.text)
	}
	if _, err := os.Stat(filepath.Join(dir, "run.json")); err != nil {
		t.Errorf("its evidence: %v", err)
	}
	wantNoPeers(t)
}
