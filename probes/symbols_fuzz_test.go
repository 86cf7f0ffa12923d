package probes

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// symbolLine is what parseSymbol reads by hand.
var symbolLine = regexp.MustCompile(`(?s-m)\A([0-9a-f]{1,16}) ([\x00-\xff]) ([^\t]+)(\t.*)?\z`)

// slowSymbol is parseSymbol without its haste. Bytes are runes of their own here,
// since the kind is one byte, whatever it is.
func slowSymbol(line string) (start uint64, kind byte, name string, ok bool) {
	runes := make([]rune, len(line))
	for i := range len(line) {
		runes[i] = rune(line[i])
	}
	m := symbolLine.FindStringSubmatch(string(runes))
	if m == nil {
		return 0, 0, "", false
	}
	start, err := strconv.ParseUint(m[1], 16, 64)
	if err != nil {
		panic(err)
	}
	bytes := make([]byte, 0, len(m[3]))
	for _, r := range m[3] {
		bytes = append(bytes, byte(r))
	}
	return start, byte([]rune(m[2])[0]), string(bytes), true
}

func FuzzParseSymbol(f *testing.F) {
	for line := range strings.Lines(tableText) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	for _, line := range []string{
		"", " ", "ffffffff81000000 T", "ffffffff81000000 T ", "ffffffff81000000 TT x", "0 T x", "0ffffffff81000000 T x",
		"FFFFFFFF81000000 T x", "ffffffff81000000 T x\t[y]\t", "ffffffff81000000 T \t[y]", "ffffffff81000000  T x",
		"ffffffff81000000 \xff x y", "ffffffff81000000 T \xe2\x80", "-1 T x", "0x1 T x",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		start, kind, name, ok := parseSymbol([]byte(line))
		wantStart, wantKind, wantName, wantOK := slowSymbol(line)
		if ok != wantOK || ok && (start != wantStart || kind != wantKind || string(name) != wantName) {
			t.Errorf("%q: %#x %q %q %v, want %#x %q %q %v", line, start, kind, name, ok, wantStart, wantKind, wantName, wantOK)
		}
	})
}

// slowResolve names one address after the nearest function at or below, the last of
// those in the table that are equally near.
func slowResolve(table string, address uint64) (name string) {
	var nearest uint64
	for line := range strings.Lines(table) {
		start, kind, symbol, _ := slowSymbol(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
		if strings.ContainsRune("tTwW", rune(kind)) && kind < 0x80 && start <= address && (name == "" || start >= nearest) {
			nearest, name = start, symbol
		}
	}
	if name == "" {
		return fmt.Sprintf("%#x", address)
	}
	return fmt.Sprintf("%s+%#x", name, address-nearest)
}

func FuzzResolve(f *testing.F) {
	f.Add(tableText, uint64(0xffffffff81000190), uint64(0xffffffffc0200088), uint64(0x1000))
	f.Add("0 T zero\n10 t ten\n10 T also\n", uint64(0), uint64(0x10), uint64(0x11))
	f.Add("ffffffffffffffff T last\n1 T first\n", uint64(0xffffffffffffffff), uint64(0), uint64(1))
	f.Add("5 d datum\n5 W weak\n4 w weaker\n", uint64(5), uint64(5), uint64(4))
	f.Add("", uint64(1), uint64(2), uint64(3))
	f.Add("0 T hidden\n0 T all\n", uint64(1), uint64(2), uint64(3))
	f.Fuzz(func(t *testing.T, table string, a, b, c uint64) {
		all, err := readSymbols(strings.NewReader(table))
		if err != nil {
			return
		}
		for _, address := range []uint64{a, b, c} {
			if want := slowResolve(table, address); all.name(address) != want {
				t.Errorf("%#x is %q, want %q", address, all.name(address), want)
			}
		}
	})
}
