//go:build !guest

// These tests look at files alone.

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The unit calls a command that there is, with options that it takes.
func TestCommandOfUnit(t *testing.T) {
	line := unitSettings(t, "ExecStart")[0]
	for _, assigned := range unitSettings(t, "Environment") {
		if options, ok := strings.CutPrefix(strings.Trim(assigned, `"`), "OPTIONS="); ok {
			line = strings.Replace(line, "$OPTIONS", options, 1)
		}
	}
	args, calls := ownArguments(line)
	if !calls || strings.Contains(line, "$OPTIONS") {
		t.Fatal(line)
	}
	cmd, err := parsed(args)
	if err != nil || cmd.Name() != "observe" || !cmd.Flags().Changed("journal") || !cmd.Flags().Changed("listen") {
		t.Errorf("%s: %v", line, err)
	}
}

// systemd knows every setting of the unit, and what it refers to is there.
func TestUnit(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), unitName)
	text := strings.ReplaceAll(deployFile(t, unitName), "/usr/bin/umemstress", executable)
	verify := func(text string) string {
		t.Helper()
		if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(out)
	}
	if said := verify(text); said != "" {
		t.Errorf("systemd-analyze verify: %s", said)
	}
	if said := verify(text + "RestrictEverything=yes\n"); !strings.Contains(said, "RestrictEverything") {
		t.Errorf("a setting that there is not: %q", said)
	}
}

// daemonSet has what these tests look at; 'make lint' holds all of the file to the types of
// the API.
type daemonSet struct {
	Spec struct {
		Template struct {
			Spec struct {
				HostPID    bool `yaml:"hostPID"`
				Containers []struct {
					Args  []string
					Ports []struct {
						ContainerPort int `yaml:"containerPort"`
					}
					Resources       struct{ Limits map[string]string }
					SecurityContext struct {
						Privileged   bool
						Capabilities struct{ Add, Drop []string }
					} `yaml:"securityContext"`
					VolumeMounts []volumeMount `yaml:"volumeMounts"`
				}
			}
		}
	}
}

type volumeMount struct {
	MountPath string `yaml:"mountPath"`
}

func readDaemonSet(t *testing.T) daemonSet {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(deployFile(t, "daemonset.yaml")))
	var set daemonSet
	for kind := ""; kind != "DaemonSet"; {
		var node yaml.Node
		if err := decoder.Decode(&node); err != nil {
			t.Fatalf("the file has no DaemonSet: %v", err)
		}
		var head struct{ Kind string }
		set = daemonSet{}
		if err := node.Decode(&head); err != nil {
			t.Fatal(err)
		}
		if err := node.Decode(&set); err != nil {
			t.Fatal(err)
		}
		kind = head.Kind
	}
	return set
}

// The observer of a DaemonSet has the privileges of the systemd unit, one more for what a
// container cannot be given otherwise, and its memory; what it is called with, the command takes.
func TestDaemonSet(t *testing.T) {
	pod := readDaemonSet(t).Spec.Template.Spec
	if !pod.HostPID || len(pod.Containers) != 1 {
		t.Fatalf("%+v", pod)
	}
	c := pod.Containers[0]
	want := append(unitCapabilities(t), "SYS_RESOURCE")
	if got := c.SecurityContext; got.Privileged || !slices.Equal(got.Capabilities.Add, want) || !slices.Equal(got.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("%+v, want %q", got, want)
	}
	if got, want := c.Resources.Limits["memory"], unitSettings(t, "MemoryMax")[0]+"i"; got != want {
		t.Errorf("a limit of %s, want %s", got, want)
	}
	called := false
	for line := range strings.Lines(strings.Join(c.Args, "\n")) {
		args, calls := ownArguments(strings.TrimPrefix(strings.TrimSpace(line), "exec "))
		if !calls || !strings.Contains(line, "observe") {
			continue
		}
		cmd, err := parsed(args)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		called = true
		listen, err := cmd.Flags().GetString("listen")
		if err != nil || len(c.Ports) != 1 || !strings.HasSuffix(listen, ":9750") || c.Ports[0].ContainerPort != 9750 {
			t.Errorf("--listen %s, %v, and ports %+v", listen, err, c.Ports)
		}
		journal, err := cmd.Flags().GetString("journal")
		if err != nil || !slices.ContainsFunc(c.VolumeMounts, func(m volumeMount) bool { return filepath.Dir(journal) == m.MountPath }) {
			t.Errorf("--journal %s, %v, is on none of %+v", journal, err, c.VolumeMounts)
		}
	}
	if !called {
		t.Errorf("%q does not call observe", c.Args)
	}
}

// What the image is made of is in a clone after 'make build', and its binary is that one.
func TestContainerfile(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	built := regexp.MustCompile(`(?m)^UMEM +:= (\S+)$`).FindSubmatch(makefile)
	if built == nil {
		t.Fatal("the Makefile has no UMEM")
	}
	var copied []string
	for line := range strings.Lines(deployFile(t, "Containerfile")) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "COPY" {
			continue
		}
		if len(words) != 3 || !filepath.IsAbs(words[2]) {
			t.Errorf("%q: this test knows COPY FROM /TO alone", line)
			continue
		}
		copied = append(copied, words[1])
		if words[1] == string(built[1]) {
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", words[1])); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if !slices.Contains(copied, string(built[1])) {
		t.Errorf("%q does not have %s, which 'make build' makes", copied, built[1])
	}
}
