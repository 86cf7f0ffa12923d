//go:build !guest

// These tests look at files alone.

package main

import (
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// jobTakes says what is wrong with arguments of umemstress job, those of run among them.
func jobTakes(args []string) error {
	cmd, err := parsed(args)
	if err != nil {
		return err
	}
	_, err = prepareJob(cmd.Flags().Args(), io.Discard)
	return err
}

// Each command line of the page on many hosts, and of the command's help, is one that it takes.
func TestCommandsOfManyHosts(t *testing.T) {
	page, err := os.ReadFile("../../docs/many-hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	cmd, _, err := newRootCommand().Find([]string{"job"})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(page) + cmd.Example) {
		args, calls := ownArguments(line)
		if !calls || !strings.Contains(line, " umemstress job --dir ") {
			continue
		}
		found++
		if err := jobTakes(args); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if found != 4 {
		t.Errorf("%d command lines, want 4", found)
	}
	if err := jobTakes([]string{"job", "--dir", "x", "--", "--holder", "dio"}); err == nil {
		t.Error("this test finds nothing wrong")
	}
}

// The Job has as many pods as it says that there are ranks, all at once, and none a second time.
func TestKubernetesJob(t *testing.T) {
	var job struct {
		Spec struct {
			CompletionMode string `yaml:"completionMode"`
			Completions    int
			Parallelism    int
			BackoffLimit   *int `yaml:"backoffLimit"`
			Template       struct {
				Spec struct {
					RestartPolicy string `yaml:"restartPolicy"`
					Containers    []struct {
						Args         []string
						Env          []struct{ Name string }
						VolumeMounts []volumeMount `yaml:"volumeMounts"`
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(deployFile(t, "job.yaml")), &job); err != nil {
		t.Fatal(err)
	}
	spec := job.Spec
	if spec.CompletionMode != "Indexed" || spec.Completions != spec.Parallelism || spec.BackoffLimit == nil || *spec.BackoffLimit != 0 || spec.Template.Spec.RestartPolicy != "Never" || len(spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%+v", spec)
	}
	c := spec.Template.Spec.Containers[0]
	at := slices.Index(c.Args, "$(POD_IP)")
	if at < 0 || len(c.Env) != 1 || c.Env[0].Name != "POD_IP" {
		t.Fatalf("%q, %v", c.Args, c.Env)
	}
	c.Args[at] = "192.0.2.1" // as the kubelet does
	if err := jobTakes(c.Args); err != nil {
		t.Error(err)
	}
	cmd, err := parsed(c.Args)
	if err != nil {
		t.Fatal(err)
	}
	if ranks := cmd.Flag("ranks").Value.String(); ranks != strconv.Itoa(spec.Completions) {
		t.Errorf("--ranks %s of %d", ranks, spec.Completions)
	}
	dir := cmd.Flag("dir").Value.String()
	if !slices.ContainsFunc(c.VolumeMounts, func(m volumeMount) bool { return strings.HasPrefix(dir, m.MountPath+"/") }) {
		t.Errorf("--dir %s is on none of %+v", dir, c.VolumeMounts)
	}
}
