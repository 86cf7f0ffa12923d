package kernels

import "strings"

// Recipe is how a kernel is built that differs from one of Debian's in fixes alone.
type Recipe struct {
	Source  string   // the kernel of Debian whose source is taken
	Without []string // commits of known fixes that are taken out
}

// Name is what the kernel is called in the store, if nothing else was asked for.
func (r Recipe) Name() string {
	return strings.Join(append([]string{r.Source}, r.Without...), "-without-")
}

// Command is the command that builds it.
func (r Recipe) Command() string {
	return "umemstress lab build --source " + strings.Join(append([]string{r.Source}, r.Without...), " --without-fix ")
}
