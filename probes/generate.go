package probes

//go:generate go tool bpf2go -target amd64 -type event -type holder -type page_state dirty bpf/dirty.bpf.c -- -O2 -mcpu=v3 -Wall -Werror
