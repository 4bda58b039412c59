# dynotap: `make demo` shows it, `make test` checks it. Needs Go, Node/npm, make and git.
.DEFAULT_GOAL := build

GO           ?= go
TOOLS        := $(CURDIR)/.tools
LINT         := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS      := -s -w -X main.version=$(VERSION)
PLATFORMS    := linux/amd64 linux/arm64 windows/amd64 darwin/amd64 darwin/arm64

# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)
ifeq ($(RACE),-race)
TEST_ENV := CGO_ENABLED=1
endif

# How long the demo runs; 0 runs until Ctrl-C.
DEMO_SECONDS ?= 62
FUZZTIME     ?= 60s
# How long the soak runs.
SOAK         ?= 30m

.PHONY: build demo test e2e soak-web lint bench kills powercuts soak fuzz dist vet clean

# The dashboard is built before the program that carries it.
WEB_STAMP := web/dist/app/index.html
WEB_FILES := $(shell find web/src -type f 2>/dev/null) web/index.html web/vite.config.ts web/svelte.config.js web/tsconfig.json

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

$(WEB_STAMP): web/node_modules/.package-lock.json $(WEB_FILES)
	cd web && npm run build

build: $(WEB_STAMP) ## bin/dynotap for this machine
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/dynotap ./cmd/dynotap

demo: build ## a simulated dyno cell on loopback: pulls every 20 s, recorded into .demo/
	./bin/dynotap run --demo --seconds $(DEMO_SECONDS)
	./bin/dynotap runs list --data .demo

test: vet ## every test, with the race detector where there is a C compiler; the dashboard's where there is Chromium
	$(TEST_ENV) $(GO) test $(RACE) -timeout 15m ./...
	@if [ -n "$$REQUIRE_ALL" ] || command -v chromium >/dev/null 2>&1; then $(MAKE) e2e; \
	else echo "skipped: the dashboard's tests in a browser need chromium"; fi

e2e: build ## the dashboard in headless Chromium against the real program
	cd web && npm run check && npm run e2e

vet: ## all three systems
	CGO_ENABLED=0 GOOS=linux $(GO) vet ./...
	CGO_ENABLED=0 GOOS=windows $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin $(GO) vet ./...

soak-web: build ## the dashboard in Chromium for ten minutes: memory must not grow
	cd web && DYNOTAP_TEST_WEB_SOAK=600 node --test e2e/endurance.test.mjs

lint: $(LINT)
	$(LINT) run ./...

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

bench: build ## the figures of docs/performance.md
	$(GO) test -run '^$$' -bench . -benchmem ./sample ./validate ./source/jetdrive/... ./source/innovate/isp ./queue/... ./store/... ./format/csv ./pipeline/imports
	for b in decode validate pipeline stream; do ./bin/dynotap bench $$b --json || exit 1; done
	for b in sqlite memory; do ./bin/dynotap bench queue --backend $$b || exit 1; done

kills: ## 2,000 kills of a process that uses the queue, ten times what make test does
	DYNOTAP_KILLS=2000 $(GO) test -run 'TestQ12Q13Kill' -timeout 30m -v ./queue/sqlite

powercuts: ## 2,000 power cuts in each of the tests that cut the power
	DYNOTAP_POWER_CUTS=2000 $(GO) test -run 'TestQ13Power' -timeout 30m ./queue/sqlite

soak: ## JETDRIVE and a wideband under random faults for SOAK
	DYNOTAP_TEST_SOAK=$(SOAK) $(GO) test -timeout 90m -run '^TestSoak$$' -v ./app

fuzz: ## every fuzz target for FUZZTIME
	./scripts/fuzz $(FUZZTIME)

dist: $(WEB_STAMP) ## static binaries for Linux, Windows and macOS in dist/
	@for p in $(PLATFORMS); do \
	  os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os = windows ] && ext=.exe; \
	  echo dist/dynotap-$$os-$$arch$$ext; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' \
	    -o dist/dynotap-$$os-$$arch$$ext ./cmd/dynotap || exit 1; \
	done

clean:
	rm -rf bin dist .demo web/dist/app web/node_modules
