package ci

import (
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// JUnit writes JUnit XML as Jenkins reads it (junit-10.xsd of its xunit plugin), and
// GitLab, GitHub's actions and others do. The evidence is named as an attachment, in the
// way that Jenkins and GitLab share.
func (r Report) JUnit(w io.Writer) error {
	suites := junit.Testsuites{Name: line(r.Name)}
	for i, s := range r.Suites {
		suites.AddSuite(s.junit(i))
	}
	suites.Skipped = 0 // Jenkins's schema has that of the suites alone
	if _, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"); err != nil {
		return err
	}
	return suites.WriteXML(w)
}

func (s Suite) junit(id int) junit.Testsuite {
	suite := junit.Testsuite{Name: line(s.Name), ID: id, Time: seconds(s.seconds())}
	suite.SetTimestamp(s.Started)
	suite.AddProperty("kernel", line(s.Kernel))
	for _, c := range s.Cases {
		suite.AddTestcase(c.junit(s.Name))
	}
	return suite
}

func (c Case) junit(suite string) junit.Testcase {
	test := junit.Testcase{Name: line(c.Name), Classname: line(suite), Time: seconds(c.Seconds)}
	result := &junit.Result{Message: line(c.Why), Data: c.text()}
	switch c.Outcome {
	case Failed:
		test.Failure = result
	case Errored:
		test.Error = result
	case Skipped:
		test.Skipped = result
	case Passed:
		test.SystemOut = &junit.Output{Data: strings.TrimSpace(line(c.Why) + "\n" + c.text())}
	}
	return test
}

// text is all lines of a case.
func (c Case) text() string {
	var b strings.Builder
	for _, l := range c.Detail {
		b.WriteString(line(l) + "\n")
	}
	if c.Evidence != "" {
		b.WriteString("evidence: " + line(c.Evidence) + "\n[[ATTACHMENT|" + line(path.Join(c.Evidence, "run.json")) + "]]\n")
	}
	return b.String()
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
