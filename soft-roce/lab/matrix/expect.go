package matrix

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"umemstress/soft-roce/lab/internal/host"
	"umemstress/workload/record"
)

// Expectation is what a scenario is expected to end in on a kernel.
type Expectation struct {
	Kernel   string // as --kernel takes it
	Scenario string // HOLDER/FS/STRIP/MUTATION, and /FOLIOS where they are not natural
	Verdict  string // empty: nothing is expected
	Pages    string // PagesAll, PagesSome; empty: not compared
	Quick    bool   // part of the subset
	Source   string // how that is known
}

// How many pages a harmful verdict is expected to be about.
const (
	PagesAll  = "all"
	PagesSome = "some"
)

// ReadExpectations reads a file that has a scenario for each top-level key, and
// below it one line for each kernel:
//
//	rdma/ext4/pageout/none:
//	  "5.10": {verdict: data-lost, pages: all, quick: true, source: where it is known from}
//
// It returns the cells in the order of the file. Errors are the caller's
// (Usage) and name the line.
func ReadExpectations(path string) ([]Expectation, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, host.Usagef("expectations: %v", err)
	}
	expectations, err := parseExpectations(raw)
	if err != nil {
		return nil, host.Usagef("expectations: %s: %v", path, err)
	}
	return expectations, nil
}

//go:embed expected.yaml
var expectedText string

// Expected is what stock Debian kernels are known to do.
func Expected() ([]Expectation, error) {
	expectations, err := parseExpectations([]byte(expectedText))
	if err != nil {
		return nil, fmt.Errorf("expected.yaml of this program: %w", err)
	}
	return expectations, nil
}

func parseExpectations(raw []byte) ([]Expectation, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var file, second yaml.Node
	if err := decoder.Decode(&file); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one YAML document")
	}
	var expectations []Expectation
	err := eachPair(file.Content[0], func(scenario, kernels *yaml.Node) error {
		if !scenarioWord.MatchString(scenario.Value) {
			return at(scenario, "scenario %q: expected HOLDER/FS/STRIP/MUTATION, such as rdma/ext4/pageout/none, and perhaps /FOLIOS", scenario.Value)
		}
		return eachPair(kernels, func(kernel, cell *yaml.Node) error {
			e := Expectation{Kernel: kernel.Value, Scenario: scenario.Value}
			if !kernelWord.MatchString(e.Kernel) {
				return at(kernel, "%q is no name of a kernel", e.Kernel)
			}
			if err := e.parse(cell); err != nil {
				return err
			}
			expectations = append(expectations, e)
			return nil
		})
	})
	if err == nil && len(expectations) == 0 {
		err = errors.New("it has no cell")
	}
	return expectations, err
}

// verdictWords are the verdicts of a run, worst first.
func verdictWords() []string {
	var words []string
	for _, v := range record.Verdicts() {
		words = append(words, string(v))
	}
	return words
}

// parse reads what stands after the kernel's name.
func (e *Expectation) parse(cell *yaml.Node) error {
	err := eachPair(cell, func(key, value *yaml.Node) error {
		if value.Kind != yaml.ScalarNode {
			// An alias (*word) has the name of its anchor as its Value, not what that
			// stands for.
			return at(value, "%s: expected a word", key.Value)
		}
		switch key.Value {
		case "verdict":
			e.Verdict = value.Value
			if !record.Verdict(e.Verdict).Known() {
				return at(value, "unknown verdict %q: choose %s", e.Verdict, strings.Join(verdictWords(), ", "))
			}
		case "pages":
			e.Pages = value.Value
			if e.Pages != PagesAll && e.Pages != PagesSome {
				return at(value, "unknown pages %q: choose all or some", e.Pages)
			}
		case "quick":
			if err := value.Decode(&e.Quick); err != nil {
				return at(value, "quick: %q is neither true nor false", value.Value)
			}
		case "source":
			e.Source = value.Value
		default:
			return at(key, "unknown key %q: choose verdict, pages, quick or source", key.Value)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case e.Verdict == "":
		return at(cell, "no verdict")
	case strings.TrimSpace(e.Source) == "":
		return at(cell, "no source: say how the verdict is known")
	case e.Pages != "" && !record.Verdict(e.Verdict).CountsPages():
		return at(cell, "pages: a verdict of %s is about no pages", e.Verdict)
	}
	return nil
}

// eachPair calls f for each key of a mapping, which must be different ones. The
// YAML package checks that only where it knows the type of the keys.
func eachPair(node *yaml.Node, f func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return at(node, "expected 'name: …', found %q", node.Value)
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode {
			return at(key, "expected a word for a key")
		}
		if line, ok := lines[key.Value]; ok {
			return at(key, "%q is in line %d already", key.Value, line)
		}
		lines[key.Value] = key.Line
		if err := f(key, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func at(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
}

var (
	kernelWord = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~-]*$`)
	// Which holders, file systems, strips and mutations there are, the command in
	// the guest knows.
	scenarioWord = regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+){3,4}$`)
)
