//go:build !guest

// These tests look at files alone.

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

const ciFiles = "../../docs/ci"

// ciJob is what the job files of both systems have that these tests look at.
type ciJob struct {
	Commands []string // shell
	Image    string   // of the container that the commands run in
	Uploads  []string // paths
	JUnit    string   // what is shown as a JUnit report; empty: the system has no such thing
}

// gitlabJob has the keywords of GitLab's jobs that the file may use: another one is a
// typing error, or has to be understood first.
type gitlabJob struct {
	Extends      string            `yaml:"extends"`
	Image        string            `yaml:"image"`
	Timeout      string            `yaml:"timeout"`
	Variables    map[string]string `yaml:"variables"`
	Rules        []gitlabRule      `yaml:"rules"`
	BeforeScript []string          `yaml:"before_script"`
	Script       []string          `yaml:"script"`
	Cache        struct {
		Key   string   `yaml:"key"`
		Paths []string `yaml:"paths"`
	} `yaml:"cache"`
	Artifacts struct {
		When    string   `yaml:"when"`
		Paths   []string `yaml:"paths"`
		Reports struct {
			JUnit string `yaml:"junit"`
		} `yaml:"reports"`
	} `yaml:"artifacts"`
}

type gitlabRule struct {
	If string `yaml:"if"`
}

// strictly decodes YAML in which every key is known.
func strictly(t *testing.T, node any, into any) {
	t.Helper()
	raw, err := yaml.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(ciFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// gitlabJobs are the jobs of the file that run, each with what it extends.
func gitlabJobs(t *testing.T) map[string]ciJob {
	t.Helper()
	var file map[string]yaml.Node
	readYAML(t, "gitlab-ci.yml", &file)
	all := map[string]gitlabJob{}
	for name, node := range file {
		if name == "workflow" {
			var workflow struct {
				Rules []gitlabRule `yaml:"rules"`
			}
			strictly(t, &node, &workflow)
			continue
		}
		var job gitlabJob
		strictly(t, &node, &job)
		all[name] = job
	}
	jobs := map[string]ciJob{}
	for name, job := range all {
		base, there := all[job.Extends]
		if job.Extends != "" && !there {
			t.Errorf("%s extends %s, which there is not", name, job.Extends)
		}
		if strings.HasPrefix(name, ".") {
			continue
		}
		if len(job.Script) == 0 {
			t.Errorf("%s has no script", name)
		}
		jobs[name] = ciJob{
			Commands: slices.Concat(base.BeforeScript, job.BeforeScript, job.Script),
			Image:    base.Image,
			Uploads:  base.Artifacts.Paths,
			JUnit:    base.Artifacts.Reports.JUnit,
		}
		if base.Artifacts.When != "always" {
			t.Errorf("%s keeps no evidence of a failure", name)
		}
	}
	return jobs
}

// githubJobs are the jobs of GitHub's file, which actionlint reads in 'make lint'.
func githubJobs(t *testing.T) map[string]ciJob {
	t.Helper()
	var file struct {
		Jobs map[string]struct {
			Steps []struct {
				Run  string
				Uses string
				If   string
				With map[string]string
			}
		}
	}
	readYAML(t, "github.yml", &file)
	jobs := map[string]ciJob{}
	for name, found := range file.Jobs {
		var job ciJob
		for _, step := range found.Steps {
			lines := strings.ReplaceAll(step.Run, "\\\n", " ")
			for line := range strings.Lines(lines) {
				command, inside := strings.CutPrefix(strings.TrimSpace(line), "docker exec lab ")
				job.Commands = append(job.Commands, command)
				if _, image, ok := strings.Cut(command, "golang:"); ok && !inside {
					job.Image, _, _ = strings.Cut("golang:"+image, " ")
				}
			}
			if strings.HasPrefix(step.Uses, "actions/upload-artifact@") {
				job.Uploads = strings.Fields(step.With["path"])
				if step.If != "always()" {
					t.Errorf("%s keeps no evidence of a failure", name)
				}
			}
		}
		jobs[name] = job
	}
	return jobs
}

var shellWord = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)

// ownArguments are the arguments with which a line of shell calls this program.
func ownArguments(line string) (args []string, calls bool) {
	words := shellWord.FindAllString(line, -1)
	at := slices.IndexFunc(words, func(w string) bool { return w == "umemstress" || strings.HasSuffix(w, "/umemstress") })
	if at < 0 {
		return nil, false
	}
	for _, word := range words[at+1:] {
		if strings.ContainsAny(word[:1], ">|&;") {
			break
		}
		args = append(args, strings.Trim(word, `"'`))
	}
	return args, true
}

// parsed is the command that the arguments call, with its flags set, or what is wrong.
func parsed(args []string) (*cobra.Command, error) {
	cmd, rest, err := newRootCommand().Find(args)
	if err != nil {
		return nil, err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return nil, err
	}
	return cmd, cmd.ValidateArgs(cmd.Flags().Args())
}

// These tests look at all files that there are.
func TestJobFiles(t *testing.T) {
	entries, err := os.ReadDir(ciFiles)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"github.yml", "gitlab-ci.yml"}) {
		t.Errorf("docs/ci has %q", names)
	}
}

// Every command line of this program in the job files is one that it takes, and what it reports
// into is uploaded.
func TestCommandsOfJobFiles(t *testing.T) {
	for file, jobs := range map[string]map[string]ciJob{"github.yml": githubJobs(t), "gitlab-ci.yml": gitlabJobs(t)} {
		called := map[string]bool{}
		for name, job := range jobs {
			for _, line := range job.Commands {
				args, calls := ownArguments(line)
				if !calls {
					continue
				}
				cmd, err := parsed(args)
				if err != nil {
					t.Errorf("%s: %s: %s: %v", file, name, line, err)
					continue
				}
				called[cmd.CommandPath()] = true
				output, err := cmd.Flags().GetString("output")
				if err != nil || !slices.Contains(job.Uploads, output) {
					t.Errorf("%s: %s: the evidence in %q is not among the uploads, %q, %v", file, name, output, job.Uploads, err)
				}
				reports, err := cmd.Flags().GetStringArray("report")
				if err != nil || len(reports) != 1 {
					t.Errorf("%s: %s: reports %q, %v", file, name, reports, err)
					continue
				}
				report, junit := strings.CutPrefix(reports[0], "junit=")
				if !junit || !slices.Contains(job.Uploads, report) || file == "gitlab-ci.yml" && job.JUnit != report {
					t.Errorf("%s: %s: the report %s is not what is uploaded, %q and %q", file, name, reports[0], job.Uploads, job.JUnit)
				}
			}
		}
		for _, want := range []string{"umemstress lab matrix", "umemstress lab compare"} {
			if !called[want] {
				t.Errorf("%s does not call %s", file, want)
			}
		}
	}
}

// The test above finds what is wrong with a command line.
func TestWrongCommandsOfJobFiles(t *testing.T) {
	for line, says := range map[string]string{
		"docker exec lab bin/umemstress lab matrix --subsets": "unknown flag: --subsets",
		"bin/umemstress lab matrices":                         "unknown command",
		"umemstress lab compare \"$A\" --subset > x":          "not 1 argument",
		"umemstress lab matrix --jobs many":                   "invalid argument",
		"umemstress lab matrix 'a b'":                         "takes no arguments",
		"umemstress frob":                                     "unknown command",
	} {
		args, calls := ownArguments(line)
		if _, err := parsed(args); !calls || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, calls := ownArguments("make -C umemstress-1 build"); calls {
		t.Error("a line that does not call the program is taken for one")
	}
}

// The job files install what the Makefile says that the lab and its scenarios need, and have the
// Go that go.mod asks for.
func TestPackagesOfJobFiles(t *testing.T) {
	read := func(name, pattern string) string {
		raw, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(raw)
		if found == nil {
			t.Fatalf("%s has no %s", name, pattern)
		}
		return string(found[1])
	}
	packages := strings.Fields(read("Makefile", `(?m)^LAB_PACKAGES +:= (.*)$`) + " " + read("Makefile", `(?m)^FS_PACKAGES +:= (.*)$`))
	image := "golang:" + read("go.mod", `(?m)^go (\d+\.\d+)`) + "-bookworm"
	for file, jobs := range map[string]map[string]ciJob{"github.yml": githubJobs(t), "gitlab-ci.yml": gitlabJobs(t)} {
		if len(jobs) == 0 {
			t.Errorf("%s has no job", file)
		}
		for name, job := range jobs {
			at := slices.IndexFunc(job.Commands, func(line string) bool { return strings.HasPrefix(line, "apt-get install ") })
			if at < 0 {
				t.Errorf("%s: %s installs nothing", file, name)
				continue
			}
			for _, want := range packages {
				if !slices.Contains(strings.Fields(job.Commands[at]), want) {
					t.Errorf("%s: %s does not install %s", file, name, want)
				}
			}
			if job.Image != image {
				t.Errorf("%s: %s runs in %q, want %s", file, name, job.Image, image)
			}
		}
	}
}
