# Two commands: `make app` opens the page, `make test` runs every test. The plain commands behind both stand in the README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto

.PHONY: app test assets model references examples experiments statistics benchmarks lint clean
.DELETE_ON_ERROR:

app: $(VENV)/app.installed
	$(BIN)/python app.py

test: $(VENV)/dev.installed lint
	@tests/find_browser.sh >/dev/null || [ -z "$$CI" ]
	@tests/find_espeak.sh >/dev/null || [ -z "$$CI" ]
	CINEGLASS_BROWSER="$$(tests/find_browser.sh 2>/dev/null)" PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS)

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/app.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements.txt
	@touch $@

$(VENV)/dev.installed: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	@touch $@ $(VENV)/app.installed

# The constant part of what the player draws: atlas.json and surface.bin in assets/player, and the vertex labels beside the atlas, from the
# committed atlas, nilearn's outlines and its fsaverage5 meshes.
assets: $(VENV)/dev.installed
	$(BIN)/python -m viz.player_assets
	$(BIN)/python -m viz.surface_maps

# The embedded model from nothing: generated clips, planted responses, training, recovery figures, card. Needs espeak-ng.
# MINUTES=2 is a quick check; OUT=folder leaves the model that is shipped alone.
model: $(VENV)/dev.installed
	$(BIN)/python -m experiments.train $(if $(MINUTES),--minutes $(MINUTES)) $(if $(OUT),--out $(OUT)) $(if $(WORK),--work $(WORK))

# What the embedded model can be held against, parcel by parcel, and what its training clips are like. Do that after every new model.
references: $(VENV)/dev.installed
	$(BIN)/python -m experiments.references $(if $(OUT),--model $(OUT)) $(if $(WORK),--work $(WORK))

# The three examples: clips drawn, composed and spoken (needs espeak-ng), then the shipped model's results on them.
# RESULTS=only keeps the clips; do that after every new model.
examples: $(VENV)/app.installed
	$(BIN)/python -m experiments.make_examples $(if $(filter only,$(RESULTS)),results)

# The ready-made experiments, run on the shipped model; after every new model too.
experiments: $(VENV)/app.installed
	$(BIN)/python -m experiments.make_experiments $(ONLY)

# docs/statistics.md and assets/statistics.json from the simulations.
statistics: $(VENV)/app.installed
	$(BIN)/python -m docs.statistics

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis
