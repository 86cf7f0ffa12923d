// Package providertest has tests meet a provider of rdma-core's libibverbs that differs from rdma_rxe's own on purpose, where those
// of other devices do: testdata has its source, which 'make guest-programs' builds and puts beside the tests. The kernel, its driver
// and the device are those of soft-RoCE.
package providertest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Knob is what the provider does otherwise. enum knob, testdata/knobs.h, which says what each is.
type Knob int

// Knobs, in the order of the header.
const (
	knobs Knob = iota
	Opened
	Taken
	Short
	Port
	Keys
	More
	Junk
	AtOnce
	Unguarded
	Take
	Full
	Stray
	Status
	Vendor
	Event
	EventAt
	EventPort
	MaxWR
	MaxSGE
	MaxCQE
	MaxMRKiB
	NoInline
	NoAtomics
	NoSRQ
	Silent
	Limitless
	Rereg
	Reregistered
	last
)

// variable names the file that has the knobs.
const variable = "UMEMSTRESS_PROVIDER"

// Provider is the provider of processes that are started with the environment as it is.
type Provider struct {
	t     testing.TB
	knobs []byte
}

// New has the environment name the provider to every process that is started until the test ends: libibverbs loads providers
// once, and looks into the environment as the process was given it.
func New(t testing.TB) *Provider {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const made, suffix = "libdiffers", "-rdmav"
	found, err := filepath.Glob(filepath.Join(filepath.Dir(self), made+suffix+"*.so"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d providers %s are beside %s, %v: 'make guest-programs' makes one", len(found), made, self, err)
	}
	name := filepath.Join(t.TempDir(), "knobs")
	if err := os.WriteFile(name, make([]byte, os.Getpagesize()), 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, variable, name)
	setenv(t, "RDMAV_DRIVERS", found[0][:strings.LastIndex(found[0], suffix)])
	return Given(t)
}

func setenv(t testing.TB, name, value string) {
	t.Helper()
	before, was := os.LookupEnv(name)
	if err := os.Setenv(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if was {
			_ = os.Setenv(name, before) // as it could be set before
			return
		}
		_ = os.Unsetenv(name)
	})
}

// Given is the provider of this process, by its environment; nil: it has none.
func Given(t testing.TB) *Provider {
	t.Helper()
	name := os.Getenv(variable)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return &Provider{t: t, knobs: mem}
}

// Set turns a knob.
func (p *Provider) Set(k Knob, value uint32) {
	binary.NativeEndian.PutUint32(p.knobs[4*k:], value)
}

// Get reads one, or what the provider has counted.
func (p *Provider) Get(k Knob) uint32 { return binary.NativeEndian.Uint32(p.knobs[4*k:]) }

// Reset has the provider do nothing otherwise, and counts from 0 again.
func (p *Provider) Reset() {
	p.t.Helper()
	if n := Knob(p.Get(knobs)); n != 0 && n != last {
		p.t.Fatalf("the provider has %d knobs, and %d are known here: they are of two versions", n, last)
	}
	clear(p.knobs[4*Opened:])
}

// MustHaveOpened fails where libibverbs took another provider, as it does without a word if it cannot load this one.
func (p *Provider) MustHaveOpened() {
	p.t.Helper()
	if n := Knob(p.Get(knobs)); n != last || p.Get(Opened) == 0 {
		p.t.Fatalf("the device was not opened through the provider that differs (%d knobs, opened %d times)", n, p.Get(Opened))
	}
}
