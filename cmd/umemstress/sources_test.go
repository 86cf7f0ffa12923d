//go:build !guest

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sources parses the files below a directory of the repository, with those of tests or without.
func sources(t *testing.T, dir string, tests bool, look func(name string, position func(ast.Node) token.Position, file *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..")
	found := 0
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "bin" || len(entry.Name()) > 2 && entry.Name()[0] == '.') {
			return errorOrSkip(err)
		}
		if !strings.HasSuffix(path, ".go") || !tests && strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		found++
		name, err := filepath.Rel(root, path)
		look(name, func(n ast.Node) token.Position { return files.Position(n.Pos()) }, file)
		return err
	})
	if err != nil || found == 0 {
		t.Fatalf("%d files below %s: %v", found, dir, err)
	}
}

func errorOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

// ofLogrus are what a library names of logrus: the type of a logger that it is given, and the one
// that it takes where it is given none.
var ofLogrus = []string{"FieldLogger", "StandardLogger"}

// Who calls a library says where it logs to; the command line alone sets up the logger of the
// program.
func TestLibrariesLogWhereTheyAreTold(t *testing.T) {
	sources(t, ".", false, func(name string, position func(ast.Node) token.Position, file *ast.File) {
		command := strings.HasPrefix(name, "cmd/")
		ast.Inspect(file, func(n ast.Node) bool {
			selected, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := selected.X.(*ast.Ident); !ok || of.Name != "logrus" {
				return true
			}
			what := selected.Sel.Name
			if !command && !slices.Contains(ofLogrus, what) || command && strings.HasPrefix(what, "Set") && name != "cmd/umemstress/root.go" {
				t.Errorf("%v: logrus.%s is of the whole program", position(n), what)
			}
			return true
		})
	})
}

// The command line parses, calls and prints. What is to be known of a machine is asked below it, where
// others can ask, too; the two that look a machine over for the commands check are told where /proc and
// /sys are in one place each.
func TestCommandReadsNothingOfTheKernel(t *testing.T) {
	sources(t, "cmd", false, func(name string, position func(ast.Node) token.Position, file *ast.File) {
		if name == "cmd/umemstress/internal/check/host.go" || name == "cmd/umemstress/internal/devicecheck/facts.go" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Error(err)
			}
			if text == "/proc" || text == "/sys" || strings.HasPrefix(text, "/proc/") || strings.HasPrefix(text, "/sys/") || strings.HasSuffix(text, "/procfs") {
				t.Errorf("%v: %q is for a package below to read", position(n), text)
			}
			return true
		})
	})
}
