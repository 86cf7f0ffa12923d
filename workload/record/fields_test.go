package record_test

import (
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"umemstress/workload/record"
)

var update = flag.Bool("update", false, "add new fields to testdata/run.fields")

const fieldsFile = "testdata/run.fields"

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// typeOf is the type of JSON that a value becomes; of objects and arrays, the fields below follow.
func typeOf(t *testing.T, of reflect.Type) string {
	switch kind := of.Kind(); {
	case of.Implements(textMarshaler) || reflect.PointerTo(of).Implements(textMarshaler):
		return "string"
	case of.Implements(jsonMarshaler):
		t.Fatalf("%v is written by itself: say as what", of)
	case kind == reflect.Pointer:
		return typeOf(t, of.Elem())
	case kind == reflect.String:
		return "string"
	case kind == reflect.Bool:
		return "boolean"
	case kind >= reflect.Int && kind <= reflect.Uint64:
		return "integer"
	case kind == reflect.Float64:
		return "number"
	case kind == reflect.Slice:
		return "array"
	case kind == reflect.Map || kind == reflect.Struct:
		return "object"
	}
	t.Fatalf("%v has no type of JSON", of)
	return ""
}

// fieldsOf are the fields below a type, by their paths: name[] is in each part of an array, name{} in
// each value of a map, and what may be left out ends in a question mark.
func fieldsOf(t *testing.T, path string, of reflect.Type) []string {
	switch kind := of.Kind(); {
	case of.Implements(textMarshaler):
		return nil
	case kind == reflect.Pointer:
		return fieldsOf(t, path, of.Elem())
	case kind == reflect.Slice:
		return below(t, path+"[]", of.Elem())
	case kind == reflect.Map:
		return below(t, path+"{}", of.Elem())
	case kind != reflect.Struct:
		return nil
	}
	var fields []string
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported() && !field.Anonymous:
			continue
		case field.Anonymous && name == "":
			fields = append(fields, fieldsOf(t, path, field.Type)...)
			continue
		case name == "":
			t.Errorf("%v.%s has no name in JSON", of, field.Name)
		}
		at, optional := strings.TrimPrefix(path+"."+name, "."), ""
		if strings.Contains(options, "omit") {
			optional = "?"
		}
		fields = append(fields, at+optional+" "+typeOf(t, field.Type))
		fields = append(fields, fieldsOf(t, at, field.Type)...)
	}
	return fields
}

// below are what the parts of an array or the values of a map are, and the fields in them.
func below(t *testing.T, path string, part reflect.Type) []string {
	return append([]string{path + " " + typeOf(t, part)}, fieldsOf(t, path, part)...)
}

// run.json only gains fields: readers, and evidence from before, go by their names and types. What
// goes or changes makes a new version of the schema.
func TestRunOnlyGainsFields(t *testing.T) {
	got := fieldsOf(t, "", reflect.TypeFor[record.Record]())
	slices.Sort(got)
	raw, err := os.ReadFile(fieldsFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	head, list, _ := strings.Cut(string(raw), "\n")
	if head != record.Schema && !*update {
		t.Fatalf("%s is of %q, and run.json of %q", fieldsFile, head, record.Schema)
	}
	known := strings.FieldsFunc(list, func(r rune) bool { return r == '\n' })
	for _, field := range known {
		if !slices.Contains(got, field) {
			t.Errorf("run.json has no %q any more: what goes or changes wants a new version of %s", field, record.Schema)
		}
	}
	var fresh []string
	for _, field := range got {
		if !slices.Contains(known, field) {
			fresh = append(fresh, field)
		}
	}
	switch {
	case len(fresh) == 0 || t.Failed():
	case *update:
		if err := os.WriteFile(fieldsFile, []byte(record.Schema+"\n"+strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%q are new: name them in CHANGELOG.md, and have them in %s from now on: go test ./workload/record -run Fields -update", fresh, fieldsFile)
	}
}

// The list is one of what is really written: each field of a record that has everything is in it,
// and nothing else.
func TestFieldsAreThoseWritten(t *testing.T) {
	var full record.Record
	fill(reflect.ValueOf(&full).Elem())
	raw, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	var written any
	if err := json.Unmarshal(raw, &written); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, field := range fieldsOf(t, "", reflect.TypeFor[record.Record]()) {
		listed = append(listed, strings.Replace(field, "? ", " ", 1))
	}
	slices.Sort(listed)
	got := pathsOf("", written)
	slices.Sort(got)
	for i := range listed { // JSON has one kind of numbers
		listed[i] = strings.Replace(listed[i], " integer", " number", 1)
	}
	slices.Sort(listed)
	if got = slices.Compact(got); !slices.Equal(got, listed) {
		for _, path := range got {
			if !slices.Contains(listed, path) {
				t.Errorf("%s is written and not listed", path)
			}
		}
		for _, path := range listed {
			if !slices.Contains(got, path) {
				t.Errorf("%s is listed and not written", path)
			}
		}
	}
}

// fill gives each field something that is not left out.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	}
}

// pathsOf are the paths and types in a document. The only key of what was filled from a map is a
// word that no field has.
func pathsOf(path string, document any) []string {
	var paths []string
	at := func(path string, value any) {
		kind := map[string]string{"string": "string", "bool": "boolean", "float64": "number", "[]interface {}": "array", "map[string]interface {}": "object"}[fmt.Sprintf("%T", value)]
		paths = append(append(paths, path+" "+kind), pathsOf(path, value)...)
	}
	switch d := document.(type) {
	case []any:
		for _, part := range d {
			at(path+"[]", part)
		}
	case map[string]any:
		for name, value := range d {
			if name == "x" || name == "1" {
				at(path+"{}", value)
				continue
			}
			at(strings.TrimPrefix(path+"."+name, "."), value)
		}
	}
	return paths
}
