# Every target sets itself up first: system libraries, .venv, and the packages again when pyproject.toml changes.
# make PYTHON=/path/to/python3.11 ... takes that interpreter instead of the first python3 that is new enough.
export PYTHON
BIN := .venv/bin
DEMO := builds
DEMO_MODES := eyes mouth r8 r16 r24 random
RUN := runs/demo
# one thread a process: the tests run in several processes, and OpenBLAS or torch would start a thread a core in each
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help setup demo lint test bench
help:
	@echo "make demo    build the demo database with every occlusion mode, train the model of the paper on it, test and draw it"
	@echo "make test    ruff, mypy --strict and all tests"
	@echo "make lint    ruff and mypy --strict alone"
	@echo "make bench   the benchmarks"

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
		-o $(RUN)/evaluation/reconstruction.png
	@echo "look at: $(DEMO)/pairs.png, $(RUN)/evaluation/all-modes/*.png, $(RUN)/evaluation/reconstruction.png, $(RUN)/metrics.json"
	@echo "rendered faces of four test subjects: the figures show that the pipeline works and say nothing about people"

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy --strict

test: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup

bench: setup
	$(ONE_THREAD) $(BIN)/python -m benchmarks
