# dockgate: every target does its own set-up. On a bare Debian or Ubuntu as root: make demo, make test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.ready

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(STAMP)  ## The environment in .venv (as root also the Debian packages that the lab needs)

$(STAMP): requirements.lock pyproject.toml tools/setup
	@tools/setup
	@touch $(STAMP)

check: $(STAMP)  ## Format, lint, types, layers, unit, golden and property tests: no root, no lab, under a minute
	@tools/check

test: setup-lab  ## Everything, scenarios in the lab included (root)
	@HYPOTHESIS_PROFILE=thorough tools/check
	@$(BIN)/pytest tests/scenarios tests/contract tests/unit -m "lab and not alone" -n 2 --dist loadfile --no-loadscope-reorder --durations=15
	@$(BIN)/pytest -m "lab and alone" --durations=15

demo: setup-lab  ## The running example, shown from nothing (root)
	@$(BIN)/python -m tools.demo

bench: setup-lab bench-peers  ## Side by side with the plain configuration, in the lab, and with the peers (root)
	@for fault in kill stop pause; do $(BIN)/python -m bench.side_by_side --fault $$fault || exit 1; echo; done

bench-peers: setup-lab  ## Throughput and latency beside nginx, Caddy, Envoy and easyhaproxy (root)
	@$(BIN)/python -m bench.peers

setup-lab: $(STAMP)
	@tools/setup --lab

generated: $(STAMP)  ## Write the JSON Schema and the reference anew from the models
	@$(BIN)/python -m dockgate.spec.jsonschema > schema/dockgate.schema.json
	@$(BIN)/python -m dockgate.spec.reference > docs/reference.md

lock: $(STAMP)  ## Pin the dependencies anew
	@tools/lock

.PHONY: help setup check test demo bench bench-peers setup-lab generated lock
