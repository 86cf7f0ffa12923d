package kernellog

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"umemstress/probes/kmsg"
)

// Counters are the files in which ext4 counts its warnings, by their names on a live system.
const Counters = "/sys" + counterFiles

const counterFiles = "/fs/ext4/*/warning_count"

// counters are how many warnings each ext4 has counted (Counters, Linux 5.8), which no rate limit
// hides, against how many of them the log has said.
type counters struct {
	sys     string
	devices map[string]counter
	gone    uint64 // unsaid of those that were unmounted
}

type counter struct {
	before uint64 // when it was seen first
	now    uint64
	said   uint64 // in the log, since then
}

func newCounters(sys string) *counters {
	c := &counters{sys: sys, devices: map[string]counter{}}
	for device, n := range c.counts() {
		c.devices[device] = counter{before: n, now: n}
	}
	return c
}

// counts are by device, as in messages.
func (c *counters) counts() map[string]uint64 {
	files, _ := filepath.Glob(c.sys + counterFiles) // the pattern is a good one
	counts := map[string]uint64{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it was unmounted
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			counts[filepath.Base(filepath.Dir(file))] = n
		}
	}
	return counts
}

// read looks at them. A file system that was mounted since the last time counts from 0.
func (c *counters) read() {
	found := c.counts()
	for device, d := range c.devices {
		if _, there := found[device]; !there {
			c.gone += d.unsaid()
			delete(c.devices, device)
		}
	}
	for device, n := range found {
		d := c.devices[device]
		if n < d.now { // it was mounted anew
			c.gone += d.unsaid()
			d = counter{}
		}
		d.now = n
		c.devices[device] = d
	}
}

// said takes a warning into account that came into the log.
func (c *counters) said(l kmsg.Line) {
	if l.Filesystem != "EXT4" || l.Kind != kmsg.Bufferless && l.Kind != kmsg.FSWarning {
		return
	}
	d := c.devices[l.Device] // none: it was mounted just now
	d.said++
	c.devices[l.Device] = d
}

// unsaid is how many warnings the log has not said.
func (c *counters) unsaid() uint64 {
	sum := c.gone
	for _, d := range c.devices {
		sum += d.unsaid()
	}
	return sum
}

func (d counter) unsaid() uint64 {
	if counted := d.now - d.before; counted > d.said {
		return counted - d.said
	}
	return 0
}
