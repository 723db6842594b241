# SPDX-License-Identifier: Apache-2.0
# cgmeter: one binary, build/cgmeter. `make help` lists the targets; V=1 shows the commands.

VERSION := 0.1.0
B := build
CC := gcc
CLANG := clang
BPFTOOL := $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKGS := libbpf libmicrohttpd jansson libisal gnutls libcrypt ncursesw libseccomp
Q := $(if $(V),,@)
quote = '$(subst ','\'',$(1))'
say = $(if $(V),@:,@printf '  %-8s %s\n' $(1) $(2))

WARN := -Wall -Wextra -Wshadow -Wtype-limits -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith $(if $(CI),-Werror)
CPPFLAGS := -D_GNU_SOURCE -DCGM_VERSION='"$(VERSION)"' -Iuser -Iinclude -I$(B)/gen -include user/base/poison.h
CFLAGS := -std=gnu11 -O2 -g -fno-omit-frame-pointer $(WARN) $(EXTRA_CFLAGS)
LDFLAGS := $(EXTRA_LDFLAGS)
LIBS = $(shell pkg-config --libs $(PKGS)) -lpthread -lm
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Ibpf -Iinclude $(shell pkg-config --cflags libbpf 2>/dev/null) -Wall -Werror

ROOMS := base flags client kube cgroup disk kernel identity app model output sink batch source process export serve node cluster top main
SRC := $(foreach r,$(ROOMS),$(wildcard user/$(r)/*.c))
OBJ := $(SRC:%.c=$(B)/%.o)
LIB_OBJ := $(filter-out $(B)/user/main/main.o,$(OBJ))
BPF_SRC := bpf/cgmeter.bpf.c
BPF_OBJ := $(BPF_SRC:%.c=$(B)/%.o)
SKEL := $(B)/gen/cgmeter.skel.h
WEB := $(wildcard user/web/*.html user/web/*.css user/web/*.js user/web/*.svg user/web/vendor/*.js user/web/vendor/*.css user/web/vendor/*.txt)
WEB_H := $(B)/gen/web.h
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPFT := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS := 20
IMAGE_FORMAT := docker
SANITIZE := -fsanitize=address,undefined

.DELETE_ON_ERROR:
.PHONY: all run check check-unit check-bpf check-e2e check-browser check-kernels check-kubernetes build-unit build-tests asan valgrind lint fuzz fuzzers reference man image deb dashboards clean help setup FORCE

all: $(B)/cgmeter $(B)/compile_commands.json ## build build/cgmeter (installs nothing)

# Rebuild everything when the flags change.
$(B)/flags: FORCE
	@mkdir -p $(B) && printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@

$(B)/cgmeter: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libcgmeter.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

$(B)/user/%.o: user/%.c $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The kernel side: one translation unit (cgmeter.bpf.c includes the subsystems), made into a skeleton.
$(B)/bpf/%.o: bpf/%.c
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(SKEL): $(B)/bpf/cgmeter.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D) && echo '/* NOLINTBEGIN: made by bpftool */' > $@ && $(BPFTOOL) gen skeleton $< name cgmeter_bpf >> $@ && echo '/* NOLINTEND */' >> $@

$(patsubst %.c,$(B)/%.o,$(wildcard user/kernel/*.c)): | $(SKEL)

$(WEB_H): $(WEB) tools/gen-web
	$(call say,WEB,$@)
	$(Q)mkdir -p $(@D) && tools/gen-web $(WEB) > $@

$(patsubst %.c,$(B)/%.o,$(wildcard user/output/*.c)): | $(WEB_H)

$(B)/compile_commands.json: Makefile $(B)/flags tools/gen-compile-commands
	$(Q)tools/gen-compile-commands $(call quote,$(CC) $(CPPFLAGS) $(CFLAGS)) $(SRC) > $@

# Tests: each test_x.c is a program of its own, linked with the same objects that ship.
$(B)/tests/%: tests/%.c $(B)/libcgmeter.a $(B)/flags
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -Itests $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(EXTRA) $(B)/libcgmeter.a -lcmocka -lz $(LIBS)

# The strict reader of our protobuf is libprotobuf-c's; it is in no program that ships.
$(B)/gen/prometheus_client.pb-c.c: tests/unit/prometheus_client.proto
	$(call say,PROTO,$@)
	$(Q)mkdir -p $(@D) && protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(B)/tests/unit/test_prometheus_protobuf: $(B)/gen/prometheus_client.pb-c.c
$(B)/tests/unit/test_prometheus_protobuf: EXTRA = $(B)/gen/prometheus_client.pb-c.c -lprotobuf-c

$(B)/gen/otlp_metrics.pb-c.c: tests/unit/otlp_metrics.proto
	$(call say,PROTO,$@)
	$(Q)mkdir -p $(@D) && protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(B)/tests/unit/test_sink_otlp: $(B)/gen/otlp_metrics.pb-c.c
$(B)/tests/unit/test_sink_otlp: EXTRA = $(B)/gen/otlp_metrics.pb-c.c -lprotobuf-c
# Of the sinks of a cluster.
$(B)/gen/remote_write.pb-c.c $(B)/gen/riemann.pb-c.c: $(B)/gen/%.pb-c.c: tests/unit/%.proto
	$(call say,PROTO,$@)
	$(Q)mkdir -p $(@D) && protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)
$(B)/tests/unit/test_export_remote_write: $(B)/gen/remote_write.pb-c.c
$(B)/tests/unit/test_export_remote_write: EXTRA = $(B)/gen/remote_write.pb-c.c -lprotobuf-c -lsnappy
$(B)/tests/unit/test_export_riemann: $(B)/gen/riemann.pb-c.c
$(B)/tests/unit/test_export_riemann: EXTRA = $(B)/gen/riemann.pb-c.c -lprotobuf-c
$(B)/tests/unit/test_export_otlp: $(B)/gen/otlp_metrics.pb-c.c
$(B)/tests/unit/test_export_otlp: EXTRA = $(B)/gen/otlp_metrics.pb-c.c -lprotobuf-c
$(B)/tests/unit/test_export_kafka: EXTRA = -lrdkafka
# The test runs the library's own mock of a cluster; the program that ships loads it when it needs it.
$(B)/tests/unit/test_sink_kafka: EXTRA = -lrdkafka

# A fuzz target has no main(): in the test run replay.c feeds it its corpus, in `make fuzz` libFuzzer drives it.
$(B)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(B)/libcgmeter.a $(B)/flags
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -Itests $(CFLAGS) $(LDFLAGS) -o $@ $< $(if $(FUZZER),-fsanitize=fuzzer,tests/fuzz/replay.c) $(B)/libcgmeter.a $(LIBS)

# A simulated cluster, for bench-cluster; see tests/sim/README.md.
$(B)/tests/sim/sim: $(wildcard tests/sim/*.[ch]) $(B)/libcgmeter.a $(B)/flags
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -Itests $(CFLAGS) $(LDFLAGS) -o $@ $(wildcard tests/sim/*.c) $(B)/libcgmeter.a $(LIBS)

build-unit: $(UNIT) $(FUZZ)
build-tests: all build-unit $(BPFT)

run: ## set up if needed, build, run the node agent (ARGS="--port=…")
	$(Q)tools/setup build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)exec $(B)/cgmeter node --listen_ip=127.0.0.1 $(ARGS)

setup: ## install what a build and the tests need (Debian: apt)
	$(Q)tools/setup

check: setup ## every test that this machine can run
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) all
	$(Q)tests/run all

check-unit: build-unit ## tests without root and without a kernel side
	$(Q)tests/run unit
check-bpf: $(BPFT) ## truth tests of the kernel side (root)
	$(Q)tests/run bpf
check-e2e: all ## truth tests of the running agent (root)
	$(Q)tests/run e2e
check-browser: all ## the page in a headless Chromium (root)
	$(Q)tests/run browser
check-kernels: build-tests ## bpf and e2e under QEMU on other kernels (root; CGM_KERNELS="6.1 6.12 6.1/v1")
	$(Q)tests/run kernels

check-kubernetes: all ## cgmeter cluster with a real API server, which is built first (root; not part of check)
	$(Q)CGMETER=$(B)/cgmeter python3 -u tests/kubernetes/test_cluster.py

asan: ## the unit tests under address and undefined-behaviour sanitizers
	$(Q)tests/run asan
valgrind: build-unit ## the unit tests under valgrind
	$(Q)tests/run valgrind

fuzz: ## libFuzzer on every parser of foreign text, FUZZ_SECONDS each
	$(Q)$(MAKE) --no-print-directory B=$(B)/fuzz CC=$(CLANG) FUZZER=1 EXTRA_CFLAGS="$(SANITIZE) -fsanitize=fuzzer-no-link" EXTRA_LDFLAGS="$(SANITIZE)" fuzzers
	$(Q)for f in $(FUZZ:$(B)/%=$(B)/fuzz/%); do n=$${f##*/fuzz_}; mkdir -p $(B)/corpus/$$n; \
		$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(B)/corpus/$$n tests/fuzz/corpus/$$n || exit 1; done
fuzzers: $(FUZZ)

lint: $(SKEL) $(WEB_H) $(B)/compile_commands.json ## cppcheck, clang-tidy, includes only downwards, no leftovers
	$(Q)tools/lint

$(B)/gen/empty.skel.h: $(B)/tools/bench/empty.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name empty_bpf > $@
$(B)/tools/%.o: tools/%.c
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c -o $@ $<
$(B)/bench/%: tools/bench/%.c $(B)/libcgmeter.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libcgmeter.a $(LIBS)
$(B)/bench/kernel $(B)/bench/slowdown: tools/bench/attach.h $(B)/gen/empty.skel.h
bench-kernel: $(B)/bench/kernel
bench-slowdown: $(B)/bench/slowdown
bench-maps: $(B)/bench/maps
bench-sweep: $(B)/bench/sweep
bench-scrape: $(B)/bench/rewrite
bench-disk: $(B)/bench/disk
bench-cluster: $(B)/tests/sim/sim

bench-%: all $(B)/libcgmeter.a ## bench-kernel, bench-slowdown, bench-agent, bench-containers, bench-scrape, bench-sweep, bench-maps, bench-top, bench-storm, bench-disk, bench-cluster: a table with ratios, build/bench/NAME.json
	$(Q)tools/bench/$*

reference: all ## the reference of metrics and flags: build/reference.md
	$(Q){ tools/gen-reference; printf '\n# Groups of metrics\n\n'; $(B)/cgmeter groups; printf '\n# Addresses\n\n'; $(B)/cgmeter api; printf '\n# Capabilities\n\n'; $(B)/cgmeter privileges; printf '\n# Flags of cgmeter node\n\n'; $(B)/cgmeter options; printf '\n# Flags of cgmeter cluster\n\n'; $(B)/cgmeter options cluster; } > $(B)/reference.md
	@echo $(B)/reference.md

man: all ## the man pages: build/cgmeter-node.8, build/cgmeter-cluster.8
	$(Q)$(B)/cgmeter man > $(B)/cgmeter-node.8
	$(Q)$(B)/cgmeter man cluster > $(B)/cgmeter-cluster.8
	@echo $(B)/cgmeter-node.8 $(B)/cgmeter-cluster.8

image: all ## a container image, without Docker: build/cgmeter-image.tar (IMAGE_FORMAT=docker|oci)
	$(Q)tools/deploy/image --program=$(B)/cgmeter --format=$(IMAGE_FORMAT) --output=$(B)/cgmeter-image.tar
deb: all ## a package for Debian: build/cgmeter_VERSION_ARCH.deb
	$(Q)tools/deploy/deb --program=$(B)/cgmeter --output=$(B)
dashboards: ## tools/deploy/grafana/*.json anew, after a change of tools/deploy/dashboards
	$(Q)tools/deploy/dashboards tools/deploy/grafana

clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' Makefile

-include $(OBJ:.o=.d) $(BPF_OBJ:.o=.d) $(UNIT:=.d) $(BPFT:=.d)
