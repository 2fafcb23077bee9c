.DEFAULT_GOAL := help
.PHONY: help setup run ask test test-rabbitmq4 dashboard-test dashboard-pictures playground-picture soak bench bench-quick images image-test check lint format docs lock clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make .venv and install the servers that are missing (run and test do it by themselves)
	@exec bash stack/setup.sh

run: ## start everything on this machine; Ctrl-C stops it
	@exec bash stack/setup.sh run

# The text reaches the program through the environment, as it was typed: neither make nor a shell expands it.
unexport MSG
ask: export ASK_MSG := $(value MSG)
ask: ## submit MSG="…" to what `make run` has started, and print the answer as it is written; Ctrl-C cancels it
	@exec bash stack/setup.sh ask

test: ## all tests, against real servers
	@exec bash stack/setup.sh test

test-rabbitmq4: export RABBITMQ_ROOT := .local/rabbitmq-4
test-rabbitmq4: setup ## the tests that need the broker, against RabbitMQ 4 of Debian 13 (as root)
	@bash stack/rabbitmq4.sh
	.venv/bin/pytest tests/integration tests/e2e tests/faults

dashboard-test: setup ## every query of the dashboards and every alert, in a real Prometheus under load (minutes)
	@bash stack/prometheus.sh
	.venv/bin/pytest tests/dashboards/test_files.py tests/dashboards/live

dashboard-pictures: setup ## draw docs/dashboards/*.png anew, from real series
	@bash stack/prometheus.sh
	.venv/bin/python -m tests.dashboards.live.pictures

playground-picture: setup ## draw docs/playground.png anew, from the running page (needs chromium)
	.venv/bin/python -m tests.browser.picture

soak: setup ## a run under random faults that ends with a ledger: JOBS=500 MINUTES=5 SEED=…
	@exec .venv/bin/python -m tests.faults.soak $(if $(JOBS),--jobs $(JOBS)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(SEED),--seed $(SEED))

bench: setup ## all benchmarks, beside peers that do the same work (half an hour): ONLY=submit,poll ROUNDS=… OUTPUT=…
	@bash stack/bench.sh
	@exec .venv/bin/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(OUTPUT),--output $(OUTPUT))

bench-quick: setup ## the same in one short round and without what takes long, in less than three minutes
	@bash stack/bench.sh
	@exec .venv/bin/python -m bench --quick $(if $(ONLY),--only $(ONLY))

images: ## build the three images with docker, podman or buildah: PYTHON_IMAGE=… REGISTRY=… TAG=… SOURCE=…
	@exec bash stack/images.sh

image-test: setup ## the images under podman, as the chart runs them, beside real servers (Debian 12, as root)
	@bash stack/containers.sh bash stack/images.sh
	@bash stack/containers.sh podman rm --all --force --time 0
	@bash stack/containers.sh podman image prune --force --filter until=24h
	@exec bash stack/containers.sh .venv/bin/pytest tests/images

check: lint ## lint and unit tests
	.venv/bin/pytest tests/unit

lint: setup ## lint, format, types, import rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

format: setup ## put the code into the one format
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

docs: setup ## write the documents that are made from the code
	.venv/bin/python docs/generate.py
	.venv/bin/python -m deploy.dashboards

PYPROJECTS := libs/common/pyproject.toml
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(UPGRADE)

lock: setup ## resolve the dependencies again (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) $(PYPROJECTS) services/gateway/pyproject.toml --extra broker --extra cache --extra store --extra templates -o requirements/gateway.txt
	$(COMPILE) $(PYPROJECTS) services/gpt-worker/pyproject.toml --extra broker --extra cache --extra store --extra templates -o requirements/gpt-worker.txt
	$(COMPILE) $(PYPROJECTS) services/result-reader/pyproject.toml --extra cache --extra store -o requirements/result-reader.txt
	$(COMPILE) libs/*/pyproject.toml services/*/pyproject.toml requirements/dev.in --all-extras -o requirements/dev.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/bench.in -o requirements/bench.txt
	for peer in bench/peers/*/package.json; do npm install --prefix "$${peer%/package.json}" --package-lock-only --omit-lockfile-registry-resolved; done

clean: ## remove .venv, and .local with all its jobs and logs
	@! [ -e .local/run.lock ] || flock -n .local/run.lock true || { echo "it still runs; stop it first" >&2; exit 1; }
	rm -rf .venv .local .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . \( -name __pycache__ -o -name node_modules \) -prune -exec rm -r {} +
