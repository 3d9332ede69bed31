# Every target first installs what it needs: system libraries, .venv, and the packages again when pyproject.toml changes.
# `make PYTHON=/path/to/python3.11 ...` uses that interpreter instead of the first python3 that is new enough.
export PYTHON
BIN := .venv/bin
DEMO := builds
DEMO_MODES := eyes mouth r8 r16 r24 random
RUN := runs/demo
# One thread per process: the tests run in several processes, and in each OpenBLAS and torch would start one per core.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help setup demo lint test docs bench gpu-check
help:
	@echo "make demo    build the demo database with every occlusion mode, train the paper's model on it, test it, draw figures"
	@echo "make test    run make lint, then all tests"
	@echo "make lint    check style, spelling and types"
	@echo "make docs    build the documentation into site/ and check its links"
	@echo "make bench   run the benchmarks"
	@echo "make gpu-check   check this machine's GPU in ten minutes, and write gpu-check.json"

setup:
	@sh scripts/setup.sh

demo: setup
	$(BIN)/occsynth build --db demo --mode table2,random --out $(DEMO)
	$(BIN)/occsynth verify $(DEMO)/manifests/demo-r16.csv
	$(BIN)/occsynth preview $(DEMO)/manifests/demo-*.csv -o $(DEMO)/pairs.png
	$(BIN)/occfer train --manifest $(DEMO)/manifests/demo-r16.csv --method full --fold 0 --backbone resnet18 \
		--weights none --size 48 --pretrain-epochs 20 --pretrain-rate 1e-3 --epochs 8 --rate 3e-4 --resume --out $(RUN)
	$(BIN)/occfer evaluate --checkpoint $(RUN) $(foreach mode,$(DEMO_MODES),--manifest $(DEMO)/manifests/demo-$(mode).csv) \
		--out $(RUN)/evaluation/all-modes
	$(BIN)/occfer reconstruct --checkpoint $(RUN) --manifest $(DEMO)/manifests/demo-r16.csv \
		-o $(RUN)/evaluation/reconstruction.png --overwrite
	@echo "look at $(DEMO)/pairs.png, $(RUN)/evaluation/all-modes/*.png, $(RUN)/evaluation/reconstruction.png, $(RUN)/metrics.json"
	@echo "the test faces are renders of four subjects: the figures show that the pipeline works and say nothing about people"

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/typos
	$(BIN)/python -m mypy --strict

test: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup --durations 30

docs: setup
	$(BIN)/mkdocs build --strict
	@echo "look at site/index.html"

bench: setup
	$(ONE_THREAD) $(BIN)/python -m benchmarks

gpu-check: setup
	$(BIN)/occfer doctor
	$(BIN)/occfer doctor --gpu
