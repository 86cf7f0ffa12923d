package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"umemstress/soft-roce/lab/internal/page"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/record"
)

// Difference is something that a witness told of one kernel and not of the other.
type Difference struct {
	Field string `json:"field"` // of run.json: CHANNEL.FIELD, or phases.NAME
	A     string `json:"a"`     // its value; of several repetitions, each that there was; empty: none
	B     string `json:"b"`
}

// machineWide is the channel whose counts are those of the whole machine, so that they differ
// between any two runs.
const machineWide = "accounting"

// noise are fields that differ between two runs on one kernel, too: addresses, processes, and what
// the probes streamed. kmsg's warning counts are those of warning_count.
func noise(channel, field string) bool {
	switch channel + "." + field {
	case "probes.stacks", "probes.events", "probes.acts", "kmsg.warning_count_before", "kmsg.warning_count_after",
		"kmsg.deaths", "kmsg.lost_records", "console.deaths", "console.files":
		return true
	}
	return false
}

// differences are the fields of which no repetition on one kernel has a value that one on
// the other has: what varies on a kernel by itself is no difference, nor is what was looked at
// on one alone. They are in the order of a run's phases and then of the channels' names.
func differences(a, b []matrix.Repetition) []Difference {
	seenA, seenB := look(a), look(b)
	var found []Difference
	for _, field := range seenA.with(seenB) {
		valuesA, valuesB := seenA.values(field), seenB.values(field)
		if len(valuesA) == 0 || len(valuesB) == 0 {
			continue
		}
		meant := func(value string) bool {
			return slices.ContainsFunc(valuesB, func(other string) bool { return meaning(field, value) == meaning(field, other) })
		}
		if !slices.ContainsFunc(valuesA, meant) {
			found = append(found, Difference{field, joined(valuesA), joined(valuesB)})
		}
	}
	slices.SortStableFunc(found, func(x, y Difference) int { return strings.Compare(group(x.Field), group(y.Field)) })
	return found
}

// seen is what was told of a repetition: a value by field, in the order of names.
type seen struct {
	names []string
	value map[string]string
}

// look reads what several repetitions saw.
func look(repetitions []matrix.Repetition) (all several) {
	for _, r := range repetitions {
		all = append(all, told(r))
	}
	return all
}

type several []seen

// with are the fields of these and others.
func (all several) with(others several) []string {
	var fields []string
	for _, one := range slices.Concat(all, others) {
		for _, name := range one.names {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	return fields
}

// values are the different values of a field, of those that looked: empty where the phase did
// not take place, or the channel did not work, in any.
func (all several) values(field string) []string {
	var values []string
	for _, one := range all {
		value, there := one.value[field]
		if !there && one.value[group(field)+stateField] != record.StateOK {
			continue
		}
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// stateField follows the name of a channel.
const stateField = ".state"

// meaning takes a count of none for the same as a field that is not there. What msync and fsync
// answered is no count.
func meaning(field, value string) string {
	if value == "0" && field != "disk.msync" && field != "disk.fsync" {
		return ""
	}
	return value
}

// joined is one value for those of several repetitions, such as "12 to 17".
func joined(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	numbers := make([]uint64, len(values))
	for i, value := range values {
		var err error
		if numbers[i], err = strconv.ParseUint(value, 10, 64); err != nil {
			return strings.Join(named(values), " or ")
		}
	}
	return fmt.Sprintf("%d to %d", slices.Min(numbers), slices.Max(numbers))
}

func named(values []string) []string {
	var names []string
	for _, value := range values {
		names = append(names, cmp.Or(value, "none"))
	}
	return names
}

// group is the channel, and of the phases, which come first, nothing.
func group(field string) string {
	channel, _, _ := strings.Cut(field, ".")
	if channel == "phases" {
		return ""
	}
	return channel
}

// told are the outcomes of a run's phases, why of which the reason tells, and the fields of its
// channels. Of a channel that did not work only that is told.
func told(r matrix.Repetition) seen {
	s := seen{value: map[string]string{}}
	tell := func(field, value string) {
		switch value {
		case "", "false", "null", "{}", "[]":
			return
		}
		s.names = append(s.names, field)
		s.value[field] = value
	}
	for _, phase := range r.Phases {
		tell("phases."+phase.Name, phase.Outcome)
	}
	for _, channel := range page.Channels(r.Channels) {
		if channel.Name == machineWide {
			continue
		}
		tell(channel.Name+stateField, channel.State)
		for _, field := range channel.Fields {
			switch {
			case noise(channel.Name, field.Name), channel.State != record.StateOK && field.Name != "why":
			case channel.Name == "folios" && field.Name == "pinned":
				tell("folios.pinned", folios(field.Value))
			default:
				tell(channel.Name+"."+field.Name, oneLine(field.Value))
			}
		}
	}
	return s
}

// folios are the sizes of the pinned folios as people write them, such as "1 of 2048 KiB".
func folios(pinned string) string {
	var sizes []record.FolioSize
	if json.Unmarshal([]byte(pinned), &sizes) != nil {
		return oneLine(pinned)
	}
	var words []string
	for _, s := range sizes {
		words = append(words, fmt.Sprintf("%d of %d KiB", s.Folios, s.Bytes>>10))
	}
	return strings.Join(words, ", ")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
