// Package page is what the lab's pages of HTML have in common: how they look, and how a
// channel of run.json is shown to a reader.
package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed style.css.tmpl
var styleText string

// Template parses a page, which takes its style by {{template "style"}}. A page needs nothing
// beside itself: no script, no other file. The text is the program's own.
func Template(text string, funcs template.FuncMap) *template.Template {
	return template.Must(template.Must(template.New("page").Funcs(funcs).Parse(styleText)).Parse(text))
}

// Channel is a channel of run.json.
type Channel struct {
	Name, State string
	Fields      []Field // without the state
}

// Field is a field of a channel, by its name in run.json.
type Field struct{ Name, Value string }

// Text is the field's name in words.
func (f Field) Text() string { return strings.ReplaceAll(f.Name, "_", " ") }

// Channels takes the channels as run.json has them, so that a field that is
// added there is shown without being named here. They are sorted by name.
func Channels(raw json.RawMessage) []Channel {
	var all map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	var channels []Channel
	for _, name := range slices.Sorted(maps.Keys(all)) {
		channel := Channel{Name: name}
		for _, field := range slices.Sorted(maps.Keys(all[name])) {
			value := text(all[name][field])
			if field == "state" {
				channel.State = value
				continue
			}
			channel.Fields = append(channel.Fields, Field{field, value})
		}
		channels = append(channels, channel)
	}
	return channels
}

// text is a JSON value for a reader: a string without its quotes, lists and
// objects indented.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var indented bytes.Buffer
	if json.Indent(&indented, raw, "", "  ") != nil {
		return string(raw)
	}
	return indented.String()
}
