package observe

import "time"

// stamped completes a line about the observation itself.
func stamped(l Line) Line {
	l.Schema = Schema
	if l.Time.IsZero() {
		l.Time = time.Now()
	}
	return l
}

// say tells a line to who is waited for, and has it written if there is room.
func (o *observer) say(l Line) {
	l = stamped(l)
	o.tellAtOnce(l)
	if !o.outlet.takes() {
		o.gap = true
		if l.IsEvent() {
			o.outlet.refused++
		}
		return
	}
	if o.gap {
		o.gap = false
		o.sayLosses()
	}
	o.outlet.lines <- l
	if l.IsEvent() {
		o.told++
	}
}

func (o *observer) tellAtOnce(l Line) {
	if o.Tell == nil {
		return
	}
	if err := o.Tell(l); err != nil {
		o.fail(err)
	}
}

// sayLosses has it written what was lost, if that is news, and there is room.
func (o *observer) sayLosses() {
	sums := o.summary
	sums.Lost.Output = o.outlet.unread()
	failed := o.outlet.failed.Load()
	if !sums.Lost.Any() || sums.Lost == o.said && failed == o.unsaid || !o.outlet.takes() {
		return
	}
	o.said, o.unsaid = sums.Lost, failed
	o.outlet.lines <- stamped(Line{Event: Lost, Summary: &sums})
}
