# make report [SCALE=smoke|quick|paper]   run the workflow, end with the report's path
# make report VERBOSE=1                   all that Snakemake says, not a line every few seconds
# make report PARTIAL=1                   report on what exists, and on what is missing and why; trains nothing
# make report PROFILE=gpu|slurm           on a GPU workstation or a Slurm cluster (profiles/)
# make html   [SCALE=...]                 the same results as Snakemake's HTML report
# make test, make lint, make format       checks
# make soak                               kill the workflow at random moments, 50 times, and compare every number
# make test-slurm                         the workflow on a Slurm of its own (Debian, as root; skipped elsewhere)
# make bench                              seconds of every model beside plain PyTorch loops: results/benchmarks
# make tune-scratch                       how the settings of the from-scratch framework were chosen
# make publish-bench                      put what both measured into docs/
# make publish                            copy the paper-scale report to docs/report
# make lock, make schemas                 regenerate what is derived from pyproject.toml and the config models

SCALE ?= quick
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE = $(BIN)/python workflow/run.py --cores all $(if $(PROFILE),--workflow-profile profiles/$(PROFILE)) --config scale=$(SCALE)

.PHONY: report html test soak test-slurm lint format bench tune-scratch publish-bench lock publish schemas clean

report: .venv/installed
	@$(SNAKEMAKE) $(if $(PARTIAL),partial=true --rerun-triggers mtime input) $(if $(VERBOSE),,--logger progress)
	@echo "Report: results/$(SCALE)/report.md"

html: .venv/installed
	@$(SNAKEMAKE) --report results/$(SCALE)/html-report.zip
	@echo "HTML report: results/$(SCALE)/html-report.zip"

test: .venv/installed
	@$(BIN)/pytest

soak: .venv/installed
	@$(BIN)/python -m tests.soak

test-slurm: .venv/installed
	@$(BIN)/pytest -m slurm tests/slurm

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow

bench: results/images/mnist.safetensors
	@$(BIN)/python -m benchmarks

tune-scratch: results/images/mnist.safetensors
	@$(BIN)/python -m benchmarks tuning

publish-bench: .venv/installed
	@$(BIN)/python -m benchmarks.page

results/images/mnist.safetensors: .venv/installed
	@$(BIN)/snakemake $@ --cores all --quiet all

lock: .venv/installed
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --extra dev --extra slurm \
		--custom-compile-command "make lock" --quiet pyproject.toml --output-file requirements.lock

publish: # the report of results/paper, as docs/report
	rm -rf docs/report && mkdir -p docs/report
	cd results/paper && cp -r report.md figures *.parquet ../../docs/report

schemas: .venv/installed
	$(BIN)/python -m twinbench.config.models workflow/schemas

clean:
	rm -rf results/smoke results/quick

# The lock pins uv too, so that even the installer is checked against its hash. Everything is compiled to bytecode once,
# also where PYTHONDONTWRITEBYTECODE is set: importing torch takes twice as long otherwise.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "twinbench needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --offline --editable .
	@touch $@
