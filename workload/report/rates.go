package report

import (
	"fmt"
	"io"

	"umemstress/workload/record"
)

const mib = 1 << 20

func rateLine(t record.Traffic) string {
	return fmt.Sprintf("%.2f MiB/s, at best %.2f, and %.0f operations a second", t.BytesPerSecond/mib, t.PeakBytesPerSecond/mib, t.OperationsPerSecond)
}

// latencyLine says what was timed, too: with several operations under way, most of it is the queue.
func latencyLine(l record.Latency, s record.Settings) string {
	line := fmt.Sprintf("min %s, 50 %% %s, 90 %% %s, 99 %% %s, 99.9 %% %s, max %s, of %d completions",
		duration(l.Min), duration(l.P50), duration(l.P90), duration(l.P99), duration(l.P999), duration(l.Max), l.Completions)
	if s.TxDepth > 1 {
		line += fmt.Sprintf(", with the time in a queue of %d (--tx-depth 1 has it without)", s.TxDepth)
	}
	return line
}

// duration is as many microseconds in the unit that suits them.
func duration(us float64) string {
	switch {
	case us < 1e3:
		return fmt.Sprintf("%.1f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.1f ms", us/1e3)
	}
	return fmt.Sprintf("%.1f s", us/1e6)
}

// Perftest writes the traffic as ib_write_bw and ib_write_lat of perftest do, whose columns and units
// these are (MB is 2^20 bytes), or, with gbits, as their --report_gbits does. A latency is from post to completion, as of
// ib_read_lat, where that of ib_write_lat is half of a way there and back.
func Perftest(w io.Writer, r *record.Record, gbits bool) error {
	t := r.Traffic
	if t.Operations == 0 || t.Seconds <= 0 {
		_, err := fmt.Fprintln(w, "\nperftest's table is not there: nothing was sent")
		return err
	}
	unit, per := "MB", float64(mib)
	if gbits {
		unit, per = "Gb", 1e9/8
	}
	const rule = "---------------------------------------------------------------------------------------\n"
	text := fmt.Sprintf("\n%s #bytes     #iterations    BW peak[%s/sec]    BW average[%s/sec]   MsgRate[Mpps]\n", rule, unit, unit)
	text += fmt.Sprintf(" %-7d    %-10d       %-7.2f            %-7.2f\t\t   %-7.6f\n", r.Settings.MessageBytes, t.Operations,
		t.PeakBytesPerSecond/per, t.BytesPerSecond/per, t.OperationsPerSecond/1e6)
	if l := t.Latency; l != nil {
		text += rule + " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec] \n"
		text += fmt.Sprintf(" %-7d %d          %-7.2f        %-7.2f      %-7.2f  \t       %-7.2f     \t%-7.2f\t\t%-7.2f \t\t%-7.2f\n",
			r.Settings.MessageBytes, l.Completions, l.Min, l.Max, l.P50, l.Mean, l.Deviation, l.P99, l.P999)
	}
	_, err := io.WriteString(w, text+rule)
	return err
}

// arrivalLine tells what was seen of the bytes as they arrived; "" of evidence from before anybody looked.
func arrivalLine(c record.ArrivalChannel, s record.Settings) string {
	var line string
	switch {
	case c.State == "" || c.State == record.StateAbsent && c.UnseenPages == 0 && s.Check != "off":
		return ""
	case s.Check == "off":
		return "not looked at (--check off)"
	case c.CorruptBytes > 0:
		line = fmt.Sprintf("CORRUPT: %d bytes of %d pages are not what was sent", c.CorruptBytes, c.CorruptPages)
		if c.FirstCorrupt != nil {
			line += fmt.Sprintf(", the first at byte %d of the region", *c.FirstCorrupt)
		}
	case c.State == record.StateFailed:
		return stateLine(c.State, c.Why)
	default:
		line = fmt.Sprintf("%d pages as they were sent, in %d looks", c.CheckedPages, c.Looks)
	}
	if c.UnseenPages > 0 {
		line += fmt.Sprintf("; %d could not be looked at", c.UnseenPages)
	}
	if c.Why != "" {
		line += ": " + c.Why
	}
	return line
}
