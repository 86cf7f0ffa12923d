# make build   bin/umemstress
# make run     a stock 5.10 kernel losing data, in a guest, and the newest one
# make test    unit tests, the tests that need a kernel, in guests, and a part of the matrix
# make matrix  kernels x scenarios, against what they are known to do
# make everything  the preset of that name, on 5.10
# make bench   the figures that the project promises, as ratios
# make faults  kills, damage and full disks at random, for up to half an hour
# make crashes the crash of the report, 10 times with one thread, 10 with the whole guest, and
#              10 in each of two ways of a program that nobody here wrote, with an observer beside it
# make soak    an observer beside ordinary work for hours, a million pages released at once, and
#              10,000 processes that pin at once
# make fixes   kernels built from source, with a fix and without it
# make install [DESTDIR= PREFIX=/usr/local]   the command, man pages, completions, a systemd unit; make uninstall
# make deb     the same as a Debian package, bin/umemstress_*.deb
#
# Everything that these need on a Debian machine is installed with apt by the
# targets themselves, which say so.

GO       ?= go
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
UMEM     := bin/umemstress
TESTS    := bin/tests
export CGO_ENABLED = 0

LAB_PACKAGES   := qemu-system-x86 kmod e2fsprogs xz-utils dpkg iproute2
FS_PACKAGES    := xfsprogs btrfs-progs dosfstools f2fs-tools ocfs2-tools
TEST_PACKAGES  := gcc libc6-dev linux-libc-dev rdma-core dmsetup libxml2-utils perl git patch coccinelle ccache perftest ibverbs-providers libibverbs-dev librdmacm-dev fio openssh-client dropbear-bin $(FS_PACKAGES)
BUILD_PACKAGES := gcc libc6-dev libelf-dev make bc bison flex dwarves perl dpkg-dev patch coccinelle ccache
BENCH_PACKAGES := bpftrace
BPF_PACKAGES   := clang-14 llvm-14 libbpf-dev

.PHONY: build run test kernels parts lint unit guest guest-programs pair everything ordinary lockdown soak soak-all million crowd lab-test subset matrix faults faults-all faults-guests faults-few faults-host crashes fixes bench bench-once generate check-generate clean
.PHONY: lab-packages test-packages build-packages bench-packages

# The second can load rdma-core's library, and is what the first goes on as where a device wants
# that. It is linked dynamically, so that it wants glibc.
build:
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(UMEM) ./cmd/umemstress
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -tags ibverbs -o $(UMEM)-ibverbs ./cmd/umemstress

# What is installed below PREFIX. The date of the pages is that of the source, so that the same
# source gives the same bytes.
DESTDIR    :=
PREFIX     := /usr/local
STAGE      := bin/stage
BASH_WORDS := share/bash-completion/completions/umemstress
ZSH_WORDS  := share/zsh/site-functions/_umemstress
FISH_WORDS := share/fish/vendor_completions.d/umemstress.fish
UNIT       := lib/systemd/system/umemstress-observe.service
DOC        := share/doc/umemstress
STAGE_DATE  = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || echo 0))

.PHONY: stage install uninstall deb

stage: build
	@rm -rf $(STAGE) && mkdir -p $(addprefix $(STAGE)/,bin share/man/man1 $(dir $(BASH_WORDS) $(ZSH_WORDS) $(FISH_WORDS) $(UNIT)) $(DOC))
	cp $(UMEM) $(UMEM)-ibverbs $(STAGE)/bin/
	SOURCE_DATE_EPOCH=$(STAGE_DATE) $(GO) run -tags manual -ldflags '-X main.version=$(VERSION)' ./cmd/umemstress $(STAGE)/share/man/man1
	$(UMEM) completion bash >$(STAGE)/$(BASH_WORDS)
	$(UMEM) completion zsh >$(STAGE)/$(ZSH_WORDS)
	$(UMEM) completion fish >$(STAGE)/$(FISH_WORDS)
	sed 's,/usr/\(bin/umemstress\|share/doc\),$(PREFIX)/\1,' docs/deploy/umemstress-observe.service >$(STAGE)/$(UNIT)
	cp -r README.md CHANGELOG.md LICENSE docs $(STAGE)/$(DOC)/
	@rm -r $(STAGE)/$(DOC)/docs/deploy/debian
	GO='$(GO)' sh docs/deploy/debian/licenses >$(STAGE)/$(DOC)/LICENSES

# It asks for root only where the directory does.
install: stage
	@umask 022; mkdir -p '$(DESTDIR)$(PREFIX)' 2>/dev/null; as=$$([ -w '$(DESTDIR)$(PREFIX)' ] || echo $(SUDO)); \
	for file in $$(cd $(STAGE) && find * -type f); do \
		mode=644; [ ! -x $(STAGE)/$$file ] || mode=755; \
		$$as install -D -m $$mode $(STAGE)/$$file '$(DESTDIR)$(PREFIX)'/$$file || exit 1; \
	done; \
	echo 'installed below $(DESTDIR)$(PREFIX)'

uninstall: stage
	@as=$$([ -w '$(DESTDIR)$(PREFIX)' ] || echo $(SUDO)); \
	for file in $$(cd $(STAGE) && find * -type f); do $$as rm -f '$(DESTDIR)$(PREFIX)'/$$file || exit 1; done; \
	$$as rm -rf '$(DESTDIR)$(PREFIX)/$(DOC)'

deb: build
	GO='$(GO)' MAKE='$(MAKE)' SOURCE_DATE_EPOCH=$(STAGE_DATE) sh docs/deploy/debian/build '$(VERSION)'

# install PACKAGES: only what is missing, and it says what.
define install
	@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing with apt:" $$missing; \
		$(SUDO) apt-get -qq update && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get -qq install -y --no-install-recommends $$missing >/dev/null; \
	fi
endef

lab-packages:
	$(call install,$(LAB_PACKAGES))

# systemd checks the unit and enables it; none runs.
UNIT_PACKAGES := systemd

test-packages: lab-packages
	$(call install,$(TEST_PACKAGES) $(UNIT_PACKAGES))

build-packages: lab-packages
	$(call install,$(BUILD_PACKAGES))

bench-packages: test-packages
	$(call install,$(BENCH_PACKAGES))

# expect CODE WORD KERNEL ARGS: what a kernel is known to end in.
define expect
	@$(UMEM) lab run --kernel $(3) -- $(4); code=$$?; echo; \
	if [ $$code = $(1) ]; then \
		echo "Exit code $(1), $(2), is what kernel $(3) is expected to do: the proof worked."; echo; \
	else \
		echo "Expected exit code $(1) ($(2)) on $(3), but got $$code."; exit 1; \
	fi
endef

run: build lab-packages
	$(call expect,12,data-lost,5.10,--preset quick)
	$(call expect,12,data-lost,sid,--preset live)

# Two parts at a time, the long one first, each with its output in one piece. A guest keeps
# one processor busy, so that one can run beside another, or beside the linters and the
# tests of the host. What they all need is made before.
test: kernels guest-programs deb $(TESTS)/pin
	$(MAKE) -j2 --output-sync=target READY=yes parts

# The kernels that the parts boot, so that no part waits for a fetch. The one that crashes is on no
# mirror: without it, its tests are skipped and the matrix leaves its column out, but in CI, which has it
# or can build it (the message says how), its absence is a failure.
KERNELS := $(if $(CI),5.10-unfixed) 5.10 6.1 6.12 sid
kernels: build lab-packages
	@for k in $(strip $(KERNELS)); do \
		$(UMEM) lab kernels | grep -Eq "^$$k +[0-9]" || $(UMEM) lab kernels --fetch $$k >/dev/null || exit 1; \
	done

parts: guest everything-few ordinary lockdown lint unit lab-test pair subset faults-few bench-once

ifndef READY
HOST_NEEDS  := build test-packages
GUEST_NEEDS := build guest-programs deb
BENCH_NEEDS := $(TESTS)/pin
endif

# The linters are built from source once (minutes), by module files of their own: two, since
# they need different versions of a YAML package. They vet what has the build tags guest and
# lab, too, and the job files that others copy; what else these tell, the tests of
# cmd/umemstress look at.
lint:
	$(GO) vet ./...
	$(GO) tool -modfile=.ci/tools.mod golangci-lint run
	$(GO) tool -modfile=.ci/tools.mod staticcheck -tags guest,lab,faults,ibverbs ./...
	$(GO) tool -modfile=.ci/actionlint.mod actionlint -shellcheck= -pyflakes= docs/ci/github.yml
	$(GO) run -modfile=.ci/kubernetes.mod ./.ci/kubernetes docs/deploy/daemonset.yaml docs/deploy/job.yaml

# The race detector has nothing to find in triage, which starts no goroutine, and reads its long logs
# thirty times slower.
unit: $(HOST_NEEDS)
	CGO_ENABLED=1 $(GO) test -race $$($(GO) list ./... | grep -v /workload/triage$$)
	$(GO) test ./workload/triage

# One boot a kernel runs the tests of every package that needs one. Each program is named
# after its package's folder, with + for /.
GUEST_PACKAGES := $(shell git grep -l '^//go:build guest' -- '*_test.go' | xargs -n1 dirname | sort -u)

guest-programs: build test-packages
	@mkdir -p $(TESTS) && rm -f $(TESTS)/*.test
	@for p in $(GUEST_PACKAGES); do \
		[ $$p = rdma ] && tags=guest,ibverbs || tags=guest; \
		$(GO) test -c -tags $$tags -o $(TESTS)/$$(echo $$p | tr / +).test ./$$p || exit 1; \
	done
	@cp $(UMEM)-ibverbs $(TESTS)/
	@cc -O2 -o $(TESTS)/crowd cmd/umemstress/testdata/crowd.c -libverbs
	@sh rdma/providertest/testdata/build $(TESTS)

# What each kernel is known to do: see soft-roce/guest-tests.
GUEST_KERNELS := 5.10 6.1 6.12
known-5.10    := granted bufferless data-lost
known-6.1     := granted unannounced clean
known-6.12    := refused refused refused

guest: $(GUEST_KERNELS:%=guest-%) guest-sid

.PHONY: $(GUEST_KERNELS:%=guest-%)
$(GUEST_KERNELS:%=guest-%): guest-%: $(GUEST_NEEDS)
	sh soft-roce/guest-tests $(UMEM) $(TESTS) $* $(known-$*)

# Of the newest kernel, what watches it: the probes, and observe.
.PHONY: guest-sid
guest-sid: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel sid --cpus 1 --timeout 15m -- sh -ec '\
		(cd probes && "$$0"/probes.test -expect=refused -test.skip "^TestMethods$$" -test.timeout 10m); \
		cd cmd/umemstress && "$$0"/cmd+umemstress.test -expect-verdict=refused -expect-large -test.timeout 5m \
			-test.run "^TestObserve(Refused|Truth|Large|Killed|Cgroup|Fio)$$|^Test(VMCI|V4L2|9P)Observed$$|^Test9P$$"' $(abspath $(TESTS))

# Every scenario that makes sense, one after the other, of two holders in make test, and of all of
# them in two guests: eleven have 971; 803 took half an hour of a processor. With one processor,
# beside another guest, emulation is a third faster.
define everything
	$(UMEM) lab exec --kernel 5.10 --cpus 1 --timeout 40m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^TestEverything$$' -test.timeout=39m
endef

everything-few: $(GUEST_NEEDS)
	$(everything) -everything.holders rdma,aio

EVERYTHING_PARTS := 1 2

everything: kernels guest-programs deb
	$(MAKE) -j2 --output-sync=target READY=yes $(EVERYTHING_PARTS:%=everything-%)

.PHONY: everything-few $(EVERYTHING_PARTS:%=everything-%)
$(EVERYTHING_PARTS:%=everything-%): everything-%: $(GUEST_NEEDS)
	$(everything) -everything.parts $(words $(EVERYTHING_PARTS)) -everything.part $*

# An observer beside ordinary work, which is to alarm nobody: two minutes of it, and 20 on each
# kernel, of which 30 on the first. TestMillionPages wants its 6 GiB, and a kernel that strips.
SOAK         := 20m
SOAK_KERNELS := 5.10 6.1 6.12 sid

soak: kernels guest-programs
	$(MAKE) -j2 --output-sync=target READY=yes soak-all

soak-all: million crowd $(SOAK_KERNELS:%=soak-%)

soak-5.10: SOAK := 30m
.PHONY: $(SOAK_KERNELS:%=soak-%)
$(SOAK_KERNELS:%=soak-%): soak-%: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel $* --cpus 1 --timeout 60m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^Test(ObserveTruth|OrdinaryWork)$$' -test.timeout=59m -ordinary $(SOAK)

million: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel 5.10 --cpus 1 --memory 6144 --timeout 30m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^Test(MillionPages|HundredThousandRegions)$$' -test.timeout=29m

# Of 10,000 processes each takes a tenth of a MiB or more.
crowd: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel 5.10 --cpus 1 --memory 4096 --timeout 20m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^TestObserveCrowd$$' -test.timeout=19m

ordinary: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel 5.10 --cpus 1 --timeout 10m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^TestOrdinaryWork$$' -test.timeout=9m -ordinary 2m

# A kernel that is locked down stays it, so that the guest is of no use to others.
lockdown: $(GUEST_NEEDS)
	$(UMEM) lab exec --kernel 5.10 --cpus 1 --timeout 5m -- $(TESTS)/cmd+umemstress.test -test.v -test.run='^TestLockdown$$' -test.timeout=4m -expect-verdict data-lost -lock-down

# The tests of one package after those of another: each has guests of its own.
lab-test: $(HOST_NEEDS)
	$(GO) test -tags lab -count=1 -timeout 10m -p 1 ./soft-roce/lab/... ./probes/journal

# Runs on two hosts: the bytes that one guest's device brings into the other's file are lost there, of the first guest's file
# in datagrams, and of the second one's, which does the run then, over connections of the connection manager.
pair: $(HOST_NEEDS)
	$(UMEM) lab run --kernel 5.10 --hosts 2 --cpus 1 -- --file-size 4M --anon-size 4M --qp 2 --bidirectional --verb send --connection UD --srq --output $(TESTS)/pair-$$$$; [ $$? = 12 ]
	$(UMEM) lab run --kernel 5.10 --hosts 2 --cpus 1 -- --file-size 4M --anon-size 4M --qp 2 --bidirectional --verb send --rdma-cm --victim remote --output $(TESTS)/pair-$$$$-victim; [ $$? = 12 ]

# The cells of the matrix that are marked quick, and all of them.
subset: $(HOST_NEEDS)
	$(UMEM) lab matrix --subset --jobs 1 --cpus 1 --output $(TESTS)/matrix-$$$$

matrix: build test-packages build-packages
	$(UMEM) lab matrix --build

# What becomes of runs, fetches and labs when things go wrong around them: soft-roce/faults.
# EACH is how often each signal is sent on each kernel. SEED is what all random choices follow
# from; SHOT sends the one signal of that number. Three parts at a time: a guest alone leaves its
# processor idle for a third of the time, while runs wait for the kernel, and four got into each
# other's way. PARTS guests of each kernel share the scenarios, so that none is left alone for long
# at the end. The guests are small, so that a hog soon fills one, and with one processor emulation
# is a third faster. Their programs lie at the same addresses each time, so that what emulation made
# of one's code serves the next. The first part of each kernel has the full disks, too. What fails
# is told when it fails, not at the end that a limit might cut off.
EACH           := 100
PARTS          := 5
MINUTES        := 28
SEED           := 1
SHOT           := -1
FAULTS_KERNELS := 5.10 6.12
FAULTS_FLAGS    = -umemstress $(abspath $(UMEM)) -faults.seed $(SEED)

faults: kernels guest-programs
	$(MAKE) -j3 --output-sync=target READY=yes faults-all

# FAULTS_GUESTS are KERNEL-PART: each part has its share of the scenarios.
FAULTS_GUESTS := $(foreach kernel,$(FAULTS_KERNELS),$(patsubst %,$(kernel)-%,$(shell seq $(PARTS))))

faults-all: faults-host faults-guests

faults-guests: $(FAULTS_GUESTS:%=faults-%)

.PHONY: $(FAULTS_GUESTS:%=faults-%)
$(FAULTS_GUESTS:%=faults-%): faults-%: $(GUEST_NEEDS)
	kernel=$(word 1,$(subst -, ,$*)) part=$(word 2,$(subst -, ,$*)) tests=Signals; \
	[ $$part != 1 ] || tests='(Signals|FullRuns)'; \
	cd soft-roce/faults && $(abspath $(UMEM)) lab exec --kernel $$kernel --memory 512 --cpus 1 --append norandmaps --timeout $$(($(MINUTES) + 1))m -- $(abspath $(TESTS))/soft-roce+faults.test \
		-test.v -test.timeout $(MINUTES)m -test.run "^Test$$tests\$$" -faults.parts $(PARTS) -faults.part $$part -faults.each $(EACH) -faults.shot $(SHOT) $(FAULTS_FLAGS)

# The part of it in make test, one guest after the other.
faults-few: $(GUEST_NEEDS)
	$(MAKE) -j1 READY=yes EACH=2 PARTS=1 CRASHES=1 WITHIN=1s faults-guests crashes

$(TESTS)/host-faults: $(HOST_NEEDS)
	$(GO) test -c -tags faults -o $@ ./soft-roce/faults

.PHONY: $(TESTS)/host-faults
faults-host: $(TESTS)/host-faults
	cd soft-roce/faults && $(abspath $<) -test.timeout $(MINUTES)m -test.skip '^TestCrash' $(FAULTS_FLAGS)

# CRASHES is how often the unfixed kernel dies in each of two ways of a run, and a kernel in each
# of two ways of ib_write_bw: WITHIN after its release, which is what an observer's journal
# promises to need at most; beside another part of the tests it may take longer.
CRASHES := 10
WITHIN  := 200ms
crashes: $(TESTS)/host-faults
	cd soft-roce/faults && $(abspath $<) -test.timeout 28m -test.run '^TestCrash' -faults.crashes $(CRASHES) -faults.within $(WITHIN) $(FAULTS_FLAGS)

# That a fix makes the difference: one kernel with it and one without it, otherwise the same. Before
# that, what builds them, and a step of a bisection: each in minutes the first time, and then in less.
# Last, since the source is there: that KUnit's own parser reads our KTAP.
KUNIT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/umemstress/build/6.12/source/tree/tools/testing/kunit/kunit.py

fixes: build test-packages build-packages
	$(call install,python3)
	$(GO) test -tags lab -count=1 -timeout 60m -v -run '^TestLab(Build|BuildRuns|BisectStep)$$' ./cmd/umemstress
	$(UMEM) lab build --source 5.10
	$(UMEM) lab build --source 5.10 --without-fix cc5095747edf
	$(call expect,12,data-lost,5.10-built,--preset quick)
	$(call expect,14,crashed,5.10-without-cc5095747edf,--preset quick --allow-crash)
	$(UMEM) lab build --source 6.1
	$(UMEM) lab build --source 6.1 --without-fix d824ec2a1546
	$(call expect,0,clean,6.1-built,--preset quick)
	$(call expect,12,data-lost,6.1-without-d824ec2a1546,--preset quick)
	$(UMEM) lab build --source 6.12
	$(UMEM) lab build --source 6.12 --without-fix 8ac268436e6d --without-fix d824ec2a1546
	$(call expect,0,refused,6.12-built,--preset quick)
	$(call expect,12,data-lost,6.12-without-8ac268436e6d-without-d824ec2a1546,--preset quick)
	$(GO) test -tags lab -count=1 -v -run '^TestKUnitReadsKTAP$$' ./workload/report/ci -args -kunit $(KUNIT)

# Every figure is of one guest, each side of a ratio in turn with the other.
bench: build guest-programs $(TESTS)/pin
	sh soft-roce/guest-benchmarks $(UMEM) $(TESTS) 5.10

# That every benchmark still works: the figures mean nothing.
bench-once: $(GUEST_NEEDS) $(BENCH_NEEDS)
	$(GO) test -run '^$$' -bench . -benchtime 1x ./probes/... ./rdma/...
	sh soft-roce/guest-benchmarks $(UMEM) $(TESTS) 5.10 once

$(TESTS)/pin: rdma/testdata/pin.c | bench-packages
	@mkdir -p $(TESTS)
	cc -O2 -o $@ $< -libverbs

generate:
	$(call install,$(BPF_PACKAGES))
	$(GO) generate ./probes

# The committed BPF objects are what the C gives.
check-generate: generate
	git diff --exit-code -- probes

clean:
	rm -rf bin
