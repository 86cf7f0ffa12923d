package metrics

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const monitoring = "../../docs/monitoring"

var (
	metricName   = regexp.MustCompile(`\b(?:umemstress|process)_[a-z_]+`)
	selectedBy   = regexp.MustCompile(`(umemstress_[a-z_]+)\{([^}]*)\}`)
	labelMatcher = regexp.MustCompile(`([a-z]+)(=~|=)"([^"]*)"`)
)

// exported are the metrics with the values of their labels.
func exported(t *testing.T) map[string]map[string][]string {
	t.Helper()
	families, err := exporter().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string][]string{}
	for _, family := range families {
		labels := map[string][]string{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = append(labels[label.GetName()], label.GetValue())
			}
		}
		found[family.GetName()] = labels
	}
	return found
}

// checkQuery holds a query to what there is: a metric or a value that nobody exports would
// never alert.
func checkQuery(t *testing.T, query string, exported map[string]map[string][]string) {
	t.Helper()
	names := metricName.FindAllString(query, -1)
	if len(names) == 0 {
		t.Errorf("%s: asks for nothing of ours", query)
	}
	for _, name := range names {
		if _, ok := exported[name]; !ok {
			t.Errorf("%s: there is no metric %s", query, name)
		}
	}
	for _, selector := range selectedBy.FindAllStringSubmatch(query, -1) {
		for _, m := range labelMatcher.FindAllStringSubmatch(selector[2], -1) {
			if m[1] == "instance" { // Prometheus gives it
				continue
			}
			for value := range strings.SplitSeq(m[3], "|") {
				if !slices.Contains(exported[selector[1]][m[1]], value) {
					t.Errorf("%s: %s never has the %s %q", query, selector[1], m[1], value)
				}
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(monitoring, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	known := exported(t)
	n := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			n++
			checkQuery(t, rule.Expr, known)
			if rule.Alert == "" || rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%+v", rule)
			}
		}
	}
	if n == 0 {
		t.Error("no rules")
	}
}

func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(monitoring, "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	known := exported(t)
	shown := ""
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 || len(panel.Targets) == 0 {
			t.Errorf("%+v", panel)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			checkQuery(t, target.Expr, known)
			shown += target.Expr
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "umemstress_") && !strings.Contains(shown, name) {
			t.Errorf("%s is not shown", name)
		}
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Type == "query" {
			checkQuery(t, variable.Query, known)
		}
	}
}
