package labtest

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// Page is what a browser would find in a page.
type Page struct {
	IDs     map[string]int // elements of each identifier
	Links   map[string]int // elements that lead to each place
	Classes map[string]int // elements of each class, as element.class
	Text    string
}

// ReadPage reads a page as a browser would have to: its elements close in order, it fetches nothing, and
// its links stay within it and below its directory.
func ReadPage(t *testing.T, html io.Reader) Page {
	t.Helper()
	page := Page{IDs: map[string]int{}, Links: map[string]int{}, Classes: map[string]int{}}
	var text strings.Builder
	decoder := xml.NewDecoder(html)
	decoder.Strict = false
	decoder.AutoClose = []string{"meta", "!doctype"}
	decoder.Entity = xml.HTMLEntity
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			page.add(t, token)
		}
	}
	page.Text = text.String()
	for link := range page.Links {
		if strings.Contains(link, ":") || strings.HasPrefix(link, "/") {
			t.Errorf("link to %s", link)
		}
		if id, within := strings.CutPrefix(link, "#"); within && id != "" && page.IDs[id] != 1 {
			t.Errorf("link to %s, of which there are %d", link, page.IDs[id])
		}
	}
	return page
}

func (p *Page) add(t *testing.T, element xml.StartElement) {
	t.Helper()
	switch element.Name.Local {
	case "script", "link", "img", "iframe":
		t.Errorf("the page has a %s", element.Name.Local)
	}
	for _, a := range element.Attr {
		switch a.Name.Local {
		case "id":
			p.IDs[a.Value]++
		case "href":
			p.Links[a.Value]++
		case "class":
			p.Classes[element.Name.Local+"."+a.Value]++
		}
	}
}
