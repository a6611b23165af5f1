# make report [SCALE=smoke|quick|paper]   run the workflow; the last line names the report
# make report SWEEPS=true                 run the sweeps too; without this, they run at the paper scale alone
# make report VERBOSE=1                   show all that Snakemake says, instead of a line every few seconds
# make report PARTIAL=1                   report on what exists, and on what is missing and why; trains nothing
# make report PROFILE=gpu|slurm           run on a GPU workstation or a Slurm cluster (profiles/)
# make html   [SCALE=...]                 write the same results as Snakemake's HTML report
# make test, make lint                    run all tests; check code and workflow
# make format                             format code and workflow
# make soak                               kill the workflow at random moments, many times, and compare every number
# make test-slurm                         test the workflow on a Slurm of its own (Debian, as root; skipped elsewhere)
# make bench                              time every model beside plain PyTorch loops: results/benchmarks
# make tune-scratch                       measure how the settings of the from-scratch framework were chosen
# make publish-bench                      put what bench and tune-scratch measured into docs/
# make publish                            copy the paper-scale report to docs/report, and its counts to README.md
# make lock, make schemas                 write requirements.lock anew, and the schemas in workflow/schemas/
# make clean                              delete results/smoke and results/quick

SCALE ?= quick
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE = $(BIN)/python workflow/run.py $(if $(PROFILE),--workflow-profile profiles/$(PROFILE)) --config scale=$(SCALE)$(if $(SWEEPS), sweeps=$(SWEEPS))

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

publish: .venv/installed
	@$(BIN)/python -m twinbench.report.publish results/paper

schemas: .venv/installed
	$(BIN)/python -m twinbench.config.models workflow/schemas

clean:
	rm -rf results/smoke results/quick

# The lock pins uv too, so the installer is checked against its hash as well. Everything is compiled to bytecode once,
# even where PYTHONDONTWRITEBYTECODE is set, because importing torch would take twice as long otherwise.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "twinbench needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --offline --editable .
	@touch $@
