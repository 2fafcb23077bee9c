.DEFAULT_GOAL := help
.PHONY: lock

PYPROJECTS := libs/common/pyproject.toml
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(UPGRADE)

lock: ## resolve the dependencies again (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) $(PYPROJECTS) services/gateway/pyproject.toml --extra broker --extra cache --extra templates -o requirements/gateway.txt
	$(COMPILE) $(PYPROJECTS) services/gpt-worker/pyproject.toml --extra broker --extra cache --extra store --extra templates -o requirements/gpt-worker.txt
	$(COMPILE) $(PYPROJECTS) services/result-reader/pyproject.toml --extra cache --extra store -o requirements/result-reader.txt
	$(COMPILE) $(PYPROJECTS) services/*/pyproject.toml requirements/dev.in --all-extras -o requirements/dev.txt
