package workload

// nonsense says why the scenario's parts, each of which exists, show nothing
// together; empty where they do show something.
func (s Scenario) nonsense() string {
	fs, _ := find(filesystems, s.Filesystem)
	switch {
	case fs.backing == memory && s.Strip != "none":
		return fs.Name + " has its pages nowhere else, so reclaim takes nothing from them without swap"
	case fs.backing == memory && s.Mutation != "none":
		return fs.Name + " has its pages nowhere else, so who takes them from a file has asked for the loss"
	case s.Mutation == "reflink" && !fs.reflink:
		return fs.Name + " has no reflink copies (FICLONE)"
	case s.Mutation == "punch" && !fs.punch, s.Mutation == "zero-range" && !fs.zeroRange:
		return fs.Name + "'s own code has no fallocate for " + s.Mutation
	case fs.journalsData && s.Mutation == "odirect-write":
		return fs.Name + " makes direct writes through the page cache, so they detach nothing"
	case fs.backing == device && s.Mutation == "truncate":
		return "a block device has a fixed length"
	case s.Mutation == "reflink" && s.Strip != "none":
		return "whether a clone is overwritten does not depend on buffers, so a strip before it changes nothing; use strip none"
	case s.Mutation != "none" && s.Strip != "none":
		return s.Mutation + " detaches the pages, so a strip before it changes nothing; use strip none"
	}
	return ""
}

// Explained is a scenario with one line on what it shows, or on why it makes no
// sense.
type Explained struct {
	Scenario Scenario `json:"scenario"`
	Shows    string   `json:"shows,omitempty"`
	Nonsense string   `json:"nonsense,omitempty"`
}

// Scenarios returns every combination of the tables.
func Scenarios() []Explained {
	var all []Explained
	for _, holder := range holderKinds {
		for _, fs := range filesystems {
			for _, strip := range stripKinds {
				for _, mutation := range mutationKinds {
					s := Scenario{holder.Name, fs.Name, strip.Name, mutation.Name}
					e := Explained{Scenario: s, Nonsense: s.nonsense()}
					if e.Nonsense == "" {
						e.Shows = s.shows()
					}
					all = append(all, e)
				}
			}
		}
	}
	return all
}

// Arrival names what brings the bytes, as in "bytes that arrive by ...".
func (s Scenario) Arrival() string {
	holder, _ := find(holderKinds, s.Holder)
	return holder.does
}

// shows is one line on what a run of the scenario tells.
func (s Scenario) shows() string {
	fs, _ := find(filesystems, s.Filesystem)
	by := "by " + s.Arrival()
	switch {
	case s.Mutation == "reflink":
		return "whether a clone is overwritten when its original's pages are dirtied unannounced " + by
	case s.Mutation != "none":
		return "whether bytes that arrive " + by + " are lost silently once " + s.Mutation + " has detached the pages"
	case fs.backing == memory:
		return "control: " + fs.Name + " needs to be told of nothing, so nothing may be reported"
	case s.Strip == "none":
		return "what becomes of pages of " + fs.Name + " dirtied unannounced " + by + ", with nothing stripped"
	case fs.dropsBufferless:
		return "whether pages that " + s.Strip + " stripped of their buffers are dropped when dirtied " + by
	case fs.heals:
		return "control: " + fs.Name + " makes up for what " + s.Strip + " took, so no page may be reported as buffer-less"
	}
	return "what becomes of pages of " + fs.Name + ", which needs no buffers, dirtied unannounced " + by + " after " + s.Strip
}
