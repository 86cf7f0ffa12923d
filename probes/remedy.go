package probes

import "slices"

// Names of features that are no Method.
const (
	featureBTF  = "btf"
	featureRing = "ring-buffer"
)

// featureRemedies say how to get what a kernel lacks.
var featureRemedies = map[string]string{
	featureBTF:          "a kernel with CONFIG_DEBUG_INFO_BTF",
	featureRing:         "Linux 5.8 or newer",
	string(Fentry):      "a kernel with BTF and CONFIG_FUNCTION_TRACER, not in lockdown",
	string(KprobeMulti): "Linux 5.18 or newer with CONFIG_FPROBE",
	string(Kprobe):      "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS",
}

// RemedyDenied says how to get a feature that is Denied.
const RemedyDenied = remedyPrivilege

// CanAttach says whether one of the features is a way to attach probes.
func CanAttach(features []Feature) bool {
	return slices.ContainsFunc(features, func(f Feature) bool {
		method := Method(f.Name)
		return f.Available && (method == Fentry || method == KprobeMulti || method == Kprobe)
	})
}

// Suffice says whether the features are all that the probes need: types, a ring, and
// one way to attach.
func Suffice(features []Feature) bool {
	available := map[string]bool{}
	for _, f := range features {
		available[f.Name] = f.Available
	}
	return available[featureBTF] && available[featureRing] && CanAttach(features)
}
