package lab

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImportsPointDown reads which packages of this module the lab's packages import,
// outside of their tests.
func TestImportsPointDown(t *testing.T) {
	const module, here = "umemstress/", "umemstress/soft-roce/lab/"
	allowed := map[string][]string{
		"matrix":           {"umemstress/soft-roce/lab", "internal/host", "kernels", "machine"},
		".":                {"internal/host", "internal/proto", "kernels", "machine"},
		"guest":            {"internal/proto", "umemstress/soft-roce/link"},
		"kernels":          {"internal/host", "internal/proto"},
		"machine":          {"internal/host", "internal/proto"},
		"internal/host":    {},
		"internal/proto":   {},
		"internal/labtest": {},
	}
	for dir, below := range allowed {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(path, module) && !slices.Contains(below, strings.TrimPrefix(path, here)) {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
	dirs, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("*/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(dirs, deeper...) {
		if _, ok := allowed[filepath.Dir(file)]; !ok {
			t.Errorf("%s is in a package of which it is not said what it may import", file)
		}
	}
}
