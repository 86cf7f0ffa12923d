// Package abitest holds declarations of another's ABI against its headers: the C compiler says
// what they are.
package abitest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Headers are what is compared with.
type Headers struct {
	Include []string // such as rdma/ib_user_verbs.h
	Package string   // of Debian, that has them
}

// Struct is a declaration in Go of a struct in C. Every field but blank ones carries the name of
// the member in a tag abi.
type Struct struct {
	Is any // a value of the Go type
	// Also are values of other Go types for it, with other members of its union.
	Also []any
	// Prefix: the type ends with the last member that is used. Its size is not C's.
	Prefix bool
}

// Compare compares the offset and size of every member, the sizes of structs, and values, all by
// their names in C.
func (h Headers) Compare(t *testing.T, structs map[string]Struct, values map[string]uint64) {
	t.Helper()
	want := map[string]uint64{}
	for c, s := range structs {
		expect(t, want, c, reflect.TypeOf(s.Is), s.Prefix)
		for _, other := range s.Also {
			expect(t, want, c, reflect.TypeOf(other), s.Prefix)
			if is, also := reflect.TypeOf(s.Is).Size(), reflect.TypeOf(other).Size(); is != also {
				t.Errorf("%s has %d bytes by one type and %d by the other", c, is, also)
			}
		}
	}
	for c, v := range values {
		want[c] = v
	}
	got := h.evaluate(t, want)
	for expr, w := range want {
		if g, shown := got[expr]; !shown || g != w {
			t.Errorf("%s: C has %d, Go has %d", expr, g, w)
		}
	}
}

// expect adds what C is to say of a struct.
func expect(t *testing.T, want map[string]uint64, c string, typ reflect.Type, prefix bool) {
	t.Helper()
	if !prefix {
		want["sizeof("+c+")"] = uint64(typ.Size())
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "_" {
			continue
		}
		name := f.Tag.Get("abi")
		if name == "" {
			t.Fatalf("%s.%s has no abi tag", typ.Name(), f.Name)
		}
		want[fmt.Sprintf("offsetof(%s, %s)", c, name)] = uint64(f.Offset)
		want[fmt.Sprintf("sizeof(((%s *)0)->%s)", c, name)] = uint64(f.Type.Size())
	}
}

// Compared is how many Go types are compared.
func Compared(structs map[string]Struct) int {
	n := len(structs)
	for _, s := range structs {
		n += len(s.Also)
	}
	return n
}

// evaluate has the C compiler evaluate every expression.
func (h Headers) evaluate(t *testing.T, expressions map[string]uint64) map[string]uint64 {
	t.Helper()
	source := bytes.NewBufferString("#include <stddef.h>\n#include <stdio.h>\n")
	for _, header := range h.Include {
		fmt.Fprintf(source, "#include <%s>\n", header)
	}
	source.WriteString("#define SHOW(expr) printf(\"%s = %llu\\n\", #expr, (unsigned long long)(expr))\nint main(void) {\n")
	for expr := range expressions {
		fmt.Fprintf(source, "SHOW(%s);\n", expr)
	}
	source.WriteString("return 0; }\n")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, source.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cc", "-o", program, file).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("no C compiler: apt-get install gcc libc6-dev %s", h.Package)
	}
	if err != nil {
		t.Fatalf("cc: %v (are the headers there? apt-get install %s)\n%s", err, h.Package, out)
	}
	if out, err = exec.Command(program).Output(); err != nil {
		t.Fatal(err)
	}
	shown := map[string]uint64{}
	for line := range strings.Lines(string(out)) {
		expr, number, _ := strings.Cut(strings.TrimSpace(line), " = ")
		var v uint64
		if _, err := fmt.Sscan(number, &v); err != nil {
			t.Fatalf("cannot read %q: %v", line, err)
		}
		shown[expr] = v
	}
	return shown
}

// Declared counts the structs that the package in the current directory declares, so that none is
// left out.
func Declared(t *testing.T, files ...string) int {
	t.Helper()
	declared := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "type ") && strings.HasSuffix(line, " struct {\n") {
				declared++
			}
		}
	}
	return declared
}
