SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:

MODULES := $(dir $(wildcard go.mod */go.mod bench/*/go.mod examples/*/go.mod interop/*/go.mod))

# Programs, with other dependencies than those who start them, and without tests of their own.
PROGRAMS := bench/zishang/ interop/webtransport/
TARGETS := linux/386 darwin/arm64 windows/amd64
FUZZTIME ?= 20s

# The tests of ws that no ws.Server takes part in, or whose driver is always the same: of all others, none may see which it is.
DRIVERLESS := /^(Accept|Dial|NewConn)\.|HTTP2|TLS|NetConn|Reader|Alloc|Simulat|Million

# Tests that weigh memory or count allocations, which the race detector changes: they skip themselves under it.
RACELESS := ^(TestAllocations|TestAckAllocations|TestIdleSession|TestHostileMemory|TestSimulatedEchoAllocates|TestCompressForLong)$$

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: client ## Build the command into bin/
	go build -trimpath -tags socketioclient -o bin/ ./cmd/...

.PHONY: release
release: client ## Build what a release is, of what is committed, into dist/
	@cd tools && go build -o ../bin/ ./release
	@rm -rf dist && bin/release

.PHONY: client
client: ## Fetch the Socket.IO client for browsers, to be embedded
	@scripts/client

.PHONY: serve
serve: ## Run the server
	go run ./cmd/baro serve --dev

# In $(call beside,A,B) the targets B are made while A are, with what A leave of the processors, and their output comes after that of A.
PARTS := $(MAKE) --no-print-directory --keep-going
beside = @failed=0; log=$$(mktemp); nice $(PARTS) $(2) >"$$log" 2>&1 & job=$$!; \
	$(PARTS) $(1) || failed=1; wait $$job || failed=1; cat "$$log"; rm -f "$$log"; exit $$failed

# Everything is run even where an early part fails, so that one run tells all there is to mend.
.PHONY: test
test: ## Install what the tests need and run everything, as CI does
	@$(PARTS) setup format sources tests

.PHONY: sources tests
sources: # modules are fetched while others are compiled
	$(call beside,vet cross,tidy)
tests: # the tests wait for clocks much of their time
	$(call beside,race,lint vuln)

.PHONY: setup
setup: ## Install the programs and packages that the tests need
	@scripts/setup

.PHONY: check
check: format vet cross tidy lint vuln ## Run everything but the tests

.PHONY: format
format:
	@echo "gofmt"
	@files=$$(gofmt -l $(MODULES)); [ -z "$$files" ] || { printf 'not formatted (make fmt):\n%s\n' "$$files"; exit 1; }

.PHONY: vet
vet:
	@failed=0; \
	for module in $(MODULES); do \
		echo "go vet $$module"; (cd $$module && go vet ./...) || failed=1; \
	done; exit $$failed

# The other systems' own files, tests included, are compiled at least; 386 for the lengths that do not fit its int.
.PHONY: cross
cross:
	@failed=0; \
	for target in $(TARGETS); do \
		echo "go vet $$target"; \
		export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0; \
		go vet ./... || failed=1; \
	done; exit $$failed

.PHONY: tidy
tidy:
	@failed=0; \
	for module in $(MODULES); do \
		echo "go mod tidy -diff $$module"; (cd $$module && go mod tidy -diff) || failed=1; \
	done; exit $$failed

.PHONY: lint
lint: bin/golangci-lint ## Run the linters
	@failed=0; \
	for module in $(MODULES); do \
		echo "golangci-lint $$module"; (cd $$module && "$(CURDIR)/bin/golangci-lint" run ./...) || failed=1; \
	done; exit $$failed

.PHONY: vuln
vuln: bin/govulncheck
	@scripts/vuln

.PHONY: fmt
fmt: bin/golangci-lint ## Format the code
	@for module in $(MODULES); do (cd $$module && "$(CURDIR)/bin/golangci-lint" fmt ./...); done

# interop/ waits for other people's programs most of its time, and the tests of the other drivers for clocks: they go beside the rest, and their
# output after it.
RACE := go test -json -race -shuffle=on -timeout=15m -p=3

.PHONY: race
race: bin/tally ## Run the tests, with the race detector, and without it those that it would disturb
	@{ failed=0; beside=$$(mktemp); drivers=$$(mktemp); \
		(cd interop && exec $(RACE) ./...) >"$$beside" 2>&1 & job=$$!; \
		$(RACE) ./... || failed=1; \
		(others=0; $(RACE) -skip='$(DRIVERLESS)' ./ws -args -loops=-1 || others=1; \
			$(RACE) ./engineio -args -front || others=1; exit $$others) >"$$drivers" 2>&1 & other=$$!; \
		for module in $(filter-out $(PROGRAMS) interop/ ./,$(MODULES)); do \
			(cd $$module && $(RACE) ./...) || failed=1; \
		done; \
		go test -json -timeout=5m -run='$(RACELESS)' ./engineio/... ./socketio/... ./ws/... || failed=1; \
		wait $$job || failed=1; wait $$other || failed=1; cat "$$beside" "$$drivers"; rm -f "$$beside" "$$drivers"; \
		exit $$failed; } | bin/tally

.PHONY: prove
prove: ## Cut, kill and fill the server as hard as it gets, which takes half an hour
	BARO_PROOF=1 go test -count=1 -timeout=2h -v -run='^(TestEverybodyGetsEverything|TestKill|TestDiskFull|TestStandstill|TestClientsThatStopReading|TestManyChannels|TestDrain|TestCluster.*|TestBalanced|TestRollingRestart)$$' ./cmd/baro
	BARO_PROOF=1 go test -count=1 -v -run='^(TestImage|TestUnit)$$' ./deploy
	BARO_PROOF=1 go test -count=1 -v ./socketio/redisadapter
	BARO_PROOF=1 go test -count=1 -v -run='^TestOnlyToMembers$$' ./socketio/natsadapter
	BARO_PROOF=1 go test -count=1 -v -run='^TestOneOfThree$$' ./channel/natsbroker
	BARO_PROOF=1 go test -count=1 -v -run='Failover' ./channel/redisbroker ./internal/cluster/redisbus
	BARO_PROOF=1 go test -count=1 -v -run='^(TestPostgreSQL|TestStalled)$$' ./internal/cli/bridge ./internal/cli/listen
	cd interop && BARO_PROOF=1 go test -count=1 -v -run='^(TestCluster|TestClusterRecovery|TestRedisCluster|TestSentinelCluster|TestNATSCluster)$$' .
	cd interop && BARO_PROOF=1 go test -count=1 -timeout=1h -v -run='^TestSocketIOClientCuts$$' .

SOAKTIME ?= 30m

.PHONY: soak
soak: ## Run the server under a steady load for SOAKTIME (30m), and draw what it holds into bin/soak.csv.svg
	@mkdir -p bin
	BARO_SOAK=$(SOAKTIME) BARO_SOAK_OUT="$(CURDIR)/bin/soak.csv" go test -count=1 -timeout=24h -v -run='^TestSoak$$' ./cmd/baro

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (20s)
	@scripts/fuzz $(FUZZTIME)

.PHONY: cover
cover: ## Measure what the tests cover, into coverage.out
	go test -coverprofile=coverage.out -coverpkg=./... ./...
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: bench
bench: ## Run the benchmarks, and those beside the peers
	go test -run='^$$' -bench=. -benchmem ./...
	cd bench && go test -run='^$$' -bench=. -benchmem ./...

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist coverage.out interop/node_modules socketio/bundle/node_modules socketio/bundle/dist

bin/tally: tools/go.mod $(wildcard tools/tally/*.go)
	@mkdir -p bin && cd tools && go build -o ../bin/ ./tally

bin/golangci-lint bin/govulncheck &: tools/go.mod tools/go.sum
	@echo "building the linters"
	@mkdir -p bin && cd tools && go build -o ../bin/ tool && touch ../bin/golangci-lint ../bin/govulncheck
