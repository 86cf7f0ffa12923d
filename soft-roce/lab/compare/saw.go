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

// noise are fields that differ between two runs on one kernel, too: addresses, and what the
// probes streamed. kmsg's warning counts are those of warning_count.
func noise(channel, field string) bool {
	switch channel + "." + field {
	case "probes.stacks", "probes.events", "kmsg.warning_count_before", "kmsg.warning_count_after",
		"kmsg.deaths", "kmsg.lost_records", "console.deaths", "console.files":
		return true
	}
	return false
}

// differences are the fields of which no repetition on one kernel has a value that one on
// the other has: what varies on a kernel by itself is no difference. They are in the
// order of a run's phases and then of the channels' names.
func differences(a, b []matrix.Repetition) []Difference {
	if !tell(a) || !tell(b) {
		return nil // who left no record denies nothing
	}
	var fields []string
	sawA, sawB := map[string][]string{}, map[string][]string{}
	collect := func(saw map[string][]string, repetitions []matrix.Repetition) {
		each := make([]map[string]string, len(repetitions))
		for i, r := range repetitions {
			var names []string
			names, each[i] = told(r)
			for _, name := range names {
				if !slices.Contains(fields, name) {
					fields = append(fields, name)
				}
			}
		}
		for _, values := range each {
			for _, field := range fields {
				if value := values[field]; !slices.Contains(saw[field], value) {
					saw[field] = append(saw[field], value)
				}
			}
		}
	}
	collect(sawA, a)
	collect(sawB, b)
	for _, field := range fields { // that the second alone has
		if sawA[field] == nil {
			sawA[field] = []string{""}
		}
	}
	var found []Difference
	for _, field := range fields {
		meant := func(value string) string { return meaning(field, value) }
		if !slices.ContainsFunc(sawA[field], func(v string) bool {
			return slices.ContainsFunc(sawB[field], func(w string) bool { return meant(v) == meant(w) })
		}) {
			found = append(found, Difference{field, joined(sawA[field]), joined(sawB[field])})
		}
	}
	slices.SortStableFunc(found, func(x, y Difference) int { return strings.Compare(group(x.Field), group(y.Field)) })
	return found
}

// meaning takes none of something that was seen for the same as nothing seen, which is told
// apart where the other kernel has some: who did not look denies nothing. What msync and fsync
// answered is no number.
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

func tell(repetitions []matrix.Repetition) bool {
	return slices.ContainsFunc(repetitions, func(r matrix.Repetition) bool { return r.Channels != nil })
}

// group is the channel, and of the phases, which come first, nothing.
func group(field string) string {
	channel, _, _ := strings.Cut(field, ".")
	if channel == "phases" {
		return ""
	}
	return channel
}

// told are the fields of a run, in their order, and their values. Of a channel that did not
// work only that is told.
func told(r matrix.Repetition) (fields []string, values map[string]string) {
	values = map[string]string{}
	tell := func(field, value string) {
		switch value {
		case "", "false", "null", "{}", "[]":
			return
		}
		fields = append(fields, field)
		values[field] = value
	}
	for _, phase := range r.Phases {
		value := phase.Outcome
		// What a phase that did its work says of it has counts, which the channels have, too.
		if phase.Outcome != record.OutcomeDone && phase.Detail != "" {
			value += ": " + phase.Detail
		}
		tell("phases."+phase.Name, value)
	}
	for _, channel := range page.Channels(r.Channels) {
		if channel.Name == machineWide {
			continue
		}
		tell(channel.Name+".state", channel.State)
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
	return fields, values
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
