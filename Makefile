# Every target makes the .venv it needs. Another Python: make PYTHON=python3.12 demo. Another torch (CUDA): make TORCH_INDEX= demo.

TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# On Linux the CPU build has a name of its own, so that where its index is out of reach nothing else is taken for it.
TORCH       ?= torch==2.13.0$(if $(TORCH_INDEX),$(if $(filter Linux,$(shell uname -s)),+cpu))
PYTHON      ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP          = .venv/bin/python -m pip --disable-pip-version-check install -qq --no-compile
# What pip would do on one core is done on all of them; a few files of other packages are not Python, and are left.
BYTECODE     = .venv/bin/python -W ignore -m compileall -qq -j 0 .venv/lib >/dev/null 2>&1 || true

.NOTPARALLEL:
.PHONY: help demo test check format bench big study profile docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/run  ## does memory help? Asked of Beijing's air and of Tang couplets, offline, in a few minutes
	.venv/bin/remanence compare examples/data/beijing-pm25-2014.csv --target pm25 --missing mask --horizon 12 --context 48 \
	    --hidden 32 --steps 300 --seeds 2 --threads 1 --out runs/demo-beijing --overwrite
	.venv/bin/remanence compare examples/data/tang-couplets.csv --label order --group poem --pool last --no-bidirectional \
	    --ngrams 1 --embedding 32 --hidden 64 --dropout 0.2 --epochs 10 --seeds 2 --threads 1 --out runs/demo-couplets --overwrite

test: .venv/dev  ## run every test, two at a time (ARGS='-n 0 …' for one); the slowest files and what was skipped are shown at the end
	@.venv/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

check: .venv/dev  ## lint, formatting, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright --pythonpath .venv/bin/python

format: .venv/dev  ## rewrite what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/bench  ## time the engine beside other libraries (25 minutes; ARGS=--quick two); docs/engine.md
	@.venv/bin/python -m bench.engine $(ARGS)

big: .venv/dev  ## fit and predict on files of 1 GB: peak of memory, and seconds (about ten minutes)
	@.venv/bin/python -m bench.big $(ARGS)

study: .venv/dev  ## measure the protocols that others published (their data in ../shared/data); NAME=etth1 for one
	@.venv/bin/python -m bench.study $(NAME) $(ARGS)

profile: .venv/dev  ## say where a training step of each task spends its time (some minutes); docs/profile.md
	@.venv/bin/python -m bench.profile --write $(ARGS)

docs: .venv/dev  ## build the manual into docs/_build/html
	@.venv/bin/python docs/generate.py
	@.venv/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:  ## remove what the other targets made, runs excepted
	rm -rf .venv .cache docs/_build build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/torch:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it, as in: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	@echo "setting up .venv ($$($(PYTHON) --version)): once, about a minute"
	@$(PYTHON) -m venv .venv
	@$(PIP) --no-deps $(TORCH) $(if $(TORCH_INDEX),--retries 1 --extra-index-url $(TORCH_INDEX)) || { echo; \
	    echo "$(TORCH) could not be had$(if $(TORCH_INDEX), from $(TORCH_INDEX)). What to do, one of:"; \
	    echo "  try again with a network, or name a mirror of that index:  make TORCH_INDEX=https://… demo"; \
	    echo "  take PyPI's own build (on Linux with CUDA: gigabytes):      make TORCH_INDEX= demo"; exit 1; }
	@touch $@

.venv/run: pyproject.toml | .venv/torch
	@$(PIP) -e .
	@$(BYTECODE)
	@touch $@

.venv/dev: pyproject.toml | .venv/torch
	@$(PIP) -e '.[test,check,docs,subwords,tensorboard]'
	@$(BYTECODE)
	@touch $@ .venv/run

.venv/bench: .venv/dev
	@$(PIP) -e '.[bench]'
	@touch $@
