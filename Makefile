# Gatehouse: build, run, test.

GO       ?= go
CHROMIUM := $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))
SUDO     := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.PHONY: help build test deps lint

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## build all packages
	$(GO) build ./...

deps: ## install what the tests need: Chromium, a Japanese font, npm's pouchdb-server
	@if [ -z "$(CHROMIUM)" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq chromium fonts-noto-cjk; fi
	@cd internal/testkit/pouchdb && [ -d node_modules/pouchdb-server ] || npm ci --ignore-scripts --no-audit --no-fund

test: deps ## run all tests, with the race detector
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...

lint: ## gofmt, go vet and staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
