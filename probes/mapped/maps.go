package mapped

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// parse reads the mappings of files out of /proc/PID/maps (show_map_vma of fs/proc/task_mmu.c).
//
// Procfs, the module, is not asked: it has one blank for several that a file's name has, and takes a
// line that is too long for it, and a read that fails, for the end.
func parse(maps io.Reader) ([]Mapping, error) {
	var found []Mapping
	lines := bufio.NewReader(maps)
	for {
		line, failed := lines.ReadString('\n')
		if line != "" {
			m, err := parseLine(strings.TrimSuffix(line, "\n"))
			if err != nil {
				return nil, err
			}
			if m.Inode != 0 && strings.HasPrefix(m.Path, "/") {
				found = append(found, m)
			}
		}
		if errors.Is(failed, io.EOF) {
			return found, nil
		}
		if failed != nil {
			return nil, failed
		}
	}
}

// parseLine reads a line such as
//
//	7f2c4a000000-7f2c4a021000 rw-s 00001000 fd:01 131                        /data/my file
//
// whose path may have anything in it but a new line, which the kernel writes as \012.
func parseLine(line string) (Mapping, error) {
	var field [5]string
	rest := line
	for i := range field {
		field[i], rest, _ = strings.Cut(rest, " ")
	}
	var bad error
	number := func(text string, base, bits int) uint64 {
		n, err := strconv.ParseUint(text, base, bits)
		if err != nil && bad == nil {
			bad = fmt.Errorf("%.80q is no line of a process's maps: %w", line, err)
		}
		return n
	}
	start, end, _ := strings.Cut(field[0], "-")
	major, minor, _ := strings.Cut(field[3], ":")
	m := Mapping{
		Start: number(start, 16, 64), End: number(end, 16, 64), Offset: number(field[2], 16, 64),
		Shared: strings.HasSuffix(field[1], "s"), Writable: strings.HasPrefix(field[1], "rw") || strings.HasPrefix(field[1], "-w"),
		Major: uint32(number(major, 16, 32)), Minor: uint32(number(minor, 16, 32)), Inode: number(field[4], 10, 64),
		Path: strings.TrimLeft(rest, " "),
	}
	return m, bad
}
