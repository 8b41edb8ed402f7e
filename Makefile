# Gatehouse: build, run, test.

GO       ?= go
CHROMIUM := $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)

# What `gatehouse version` says: this checkout, and Caddy's version in it.
COMMIT   = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CADDY    = $(shell $(GO) list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
LDFLAGS  = -s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(COMMIT)+caddy-$(CADDY)

BENCHTIME ?= 1s
PEBBLE    := github.com/letsencrypt/pebble/v2/cmd
# Packages whose tests take longest, and begin first.
LONGEST   := ./tenancy/lifecycle ./e2e ./tenancy/certstore
# Modules of Caddy that an edge build must have.
MODULES   := tenancy http.handlers.tenancy http.reverse_proxy.upstreams.tenancy tls.permission.tenancy tls.get_certificate.tenancy admin.api.instances caddy.storage.couchdb

.DEFAULT_GOAL := help
.PHONY: help run build test bench deps lint xcaddy

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

run: build ## build, then run the front door of Caddyfile.example
	@echo 'A front door is on http://localhost:8080 and https://localhost:8443. In another shell:'
	@echo '  bin/gatehouse instances add alice.localhost'
	@echo '  curl http://alice.localhost:8080/'
	@echo 'Ctrl-C ends it.'
	@exec bin/gatehouse run --config Caddyfile.example --adapter caddyfile

build: ## build bin/gatehouse
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/gatehouse ./cmd/gatehouse

deps: ## install what the tests need: Chromium, a Japanese font, nginx, npm's pouchdb-server, Let's Encrypt's Pebble
	@if [ -z "$(CHROMIUM)" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq chromium fonts-noto-cjk; fi
	@if ! PATH=$$PATH:/usr/sbin command -v nginx >/dev/null; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq nginx-light; fi
	@cd internal/testkit/pouchdb && [ -d node_modules/pouchdb-server ] || npm ci --ignore-scripts --no-audit --no-fund
	@cd internal/testkit/pebble && v=$$(cat version) && [ -d bin/$$v ] || { \
		mkdir -p bin && new=$$(mktemp -d bin/.new-XXXXXX) && trap 'rm -rf "$$new"' EXIT && \
		GOBIN=$$PWD/$$new CGO_ENABLED=0 $(GO) install $(PEBBLE)/pebble@$$v $(PEBBLE)/pebble-challtestsrv@$$v && \
		chmod 755 $$new && mv $$new bin/$$v; }

test: deps ## run all tests, with the race detector
	$(GO) vet ./...
	@mkdir -p bin
	GATEHOUSE_TEST_FAULTS=$(CURDIR)/bin/faults.txt $(GO) test -race -timeout 40m $(LONGEST) ./...
	$(GO) test -run AllocatesNothing ./tenancy/directory ./caddymodule
	@echo 'Deaths of a front door that were tried:'; cat bin/faults.txt

# nginx and haproxy are in /usr/sbin, which is not in everybody's PATH.
bench: export PATH := $(PATH):/usr/sbin
bench: ## measure beside nginx, HAProxy and stock Caddy (an hour); writes bench/RESULTS.md
	@missing=; for p in nginx haproxy wrk; do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq $$missing; fi
	@mkdir -p bin
	$(GO) build -o bin/peers ./bench/peers
	@BENCHTIME=$(BENCHTIME) bin/peers $(BENCHFLAGS)

.PHONY: bench-quick
bench-quick: BENCHFLAGS += --quick
bench-quick: bench ## the same in two minutes, to try the harness; writes bench/RESULTS-quick.md

lint: ## gofmt, go vet and staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

xcaddy: ## build bin/gatehouse-edge from xcaddy.json, and look whether our modules are in it
	$(GO) run ./cmd/edge --config xcaddy.json --output bin/gatehouse-edge
	@bin/gatehouse-edge version
	@modules=$$(bin/gatehouse-edge list-modules) && for m in $(MODULES); do \
		echo "$$modules" | grep -qx "$$m" || { echo "bin/gatehouse-edge has no module $$m"; exit 1; }; \
	done && echo "bin/gatehouse-edge has $(MODULES)"
