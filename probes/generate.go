package probes

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64 -type event -type pin_event -type release_event -type kind -type holder -type state dirty bpf/dirty.bpf.c -- -O2 -mcpu=v3 -Wall -Werror
