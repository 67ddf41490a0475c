# For readers
#   make notebooks      execute every notebook into build/
#   make lab            JupyterLab on learner's copies of the notebooks; FOLDER=notebooks for those with solutions
#   make check          is this machine ready?
#   make learner        learner's copies anew, in build/learner/, solutions in folds; SOLUTIONS=none for none at all
#   make slides         a talk from each notebook, in build/slides/
#   make book           the series as a site, in build/book/, complete without a network
#   make epub           the same as one file for a reading device, or to print
#   make explorer       the explorer as a page of its own, on this machine only
# For those who take part
#   make lint           ruff, mypy and codespell
#   make test-quick     the same, then the unit tests that are quick: before each commit
#   make test           make lint, then the whole test suite
#   make mutants        do the quick tests notice single changes to utils' core? MUTANTS="utils.das_utils.*" for some, SAMPLE=200 at random
#   make refresh        execute the notebooks in place, write the README's table of results
# What studies/ measures, see studies/README.md
#   make models         train the networks that ship with the explorer anew
#   make study          five seeds of each headline figure and control, about an hour
#   make own-networks   three seeds of notebook 7's networks, about a quarter of an hour
#   make early         three seeds of when alignments appear, for notebook 2, under an hour
#   make controls       three seeds of controls for notebook 5, about half an hour
#   make rivals         three seeds of notebook 8's networks, about three quarters of an hour
#   make sweep          the small table of the sweep, about ten minutes; TABLES=... for others
#   make bench          the benchmarks, in under five minutes
#   make bench-slow     stock pyvene at 16 and 64 directions
#   make bench-quality  IIA against seconds of training, with single changes to the recipe: half an hour
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDER ?= build/learner
SOLUTIONS ?= folded
TABLES ?= small
MUTANTS ?=
SAMPLE ?=
WIDGET_EXTENSIONS := anywidget @jupyter-widgets/jupyterlab-manager @voila-dashboards/widgets-manager8
export OMP_WAIT_POLICY ?= PASSIVE
# Linux gives large blocks of memory back and fetches them anew at each step, which is a fifth of its time; so it keeps them.
export MALLOC_MMAP_THRESHOLD_ ?= 67108864
export MALLOC_TRIM_THRESHOLD_ ?= 536870912

.PHONY: notebooks lint test test-quick lab check learner slides book epub explorer refresh models study own-networks controls early rivals sweep
.PHONY: bench bench-slow bench-quality mutants clean
.DELETE_ON_ERROR:

# An environment that was moved, whose Python is gone or another, or that lacks pip is built anew.
PTH := import pip, pathlib as p, sysconfig; pth = p.Path(sysconfig.get_path('purelib'), 'tutorial.pth')
WHOLE := $(shell $(BIN)/python -c "$(PTH); print(pth.read_text().strip() == str(p.Path.cwd()))" 2>/dev/null)
ifneq ($(WHOLE),True)
.PHONY: $(VENV)/.installed
endif

$(VENV)/.installed: requirements.txt constraints.txt
ifneq ($(WHOLE),True)
	@test ! -L $(VENV) || rm $(VENV)  # what a link leads to is somebody's
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { echo "$(PYTHON) -m venv failed. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -c "$(PTH); pth.write_text(str(p.Path.cwd()))"
endif
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

$(VENV)/.installed-tests: $(VENV)/.installed tests/requirements.txt workshop/requirements.txt book/requirements.txt studies/benchmarks/requirements.txt
	$(BIN)/python -m pip install -r tests/requirements.txt
	touch $@

$(VENV)/.installed-workshop: $(VENV)/.installed workshop/requirements.txt
	$(BIN)/python -m pip install -r workshop/requirements.txt
	touch $@

$(VENV)/.installed-benchmarks: $(VENV)/.installed studies/benchmarks/requirements.txt
	$(BIN)/python -m pip install -r studies/benchmarks/requirements.txt
	touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-tests tests/mutants/requirements.txt
	$(BIN)/python -m pip install -r tests/mutants/requirements.txt
	touch $@

$(VENV)/.installed-book: $(VENV)/.installed book/requirements.txt
	$(BIN)/python -m pip install -r book/requirements.txt
	touch $@

notebooks: $(VENV)/.installed
	$(BIN)/python notebooks/execute.py --into build

lint: $(VENV)/.installed-tests
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m codespell_lib

test-quick: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -o addopts="" -q -m "not slow" tests/utils tests/test_structure.py

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations 10

# What is done already is kept in mutants/: with neither option a run that was stopped goes on. SAMPLE and MUTANTS run anew.
MUTMUT := OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/mutmut
DRAW := import random, sys; names = sorted(line.split(':')[0].strip() for line in sys.stdin)
DRAW += ; print(*random.Random(0).sample(names, int(sys.argv[1])))
mutants: mutants/mutmut-stats.json
	$(MUTMUT) run --max-children 1 \
	  $(if $(SAMPLE),$$($(MUTMUT) results --all true | $(BIN)/python -c "$(DRAW)" $(SAMPLE)),$(foreach name,$(MUTANTS),"$(name)"))
	$(MUTMUT) results | grep -v "not checked" || true

mutants/mutmut-stats.json: $(VENV)/.installed-mutants
	$(MUTMUT) run --max-children 1 "utils.measures.readout.x_correlate__mutmut_1"

lab: $(VENV)/.installed $(filter build/learner,$(FOLDER))
	$(BIN)/python -m jupyterlab --notebook-dir="$(FOLDER)"

check: $(VENV)/.installed
	$(BIN)/python workshop/check.py

learner: $(VENV)/.installed-workshop
	$(BIN)/python workshop/learner.py --into build/learner --solutions $(SOLUTIONS)

build/learner:  # comes whole, by one rename
	@$(MAKE) --no-print-directory learner

slides: $(VENV)/.installed
	$(BIN)/python workshop/slides.py --into build/slides

book: $(VENV)/.installed-book
	$(BIN)/python workshop/writing.py build/book \
	  $(BIN)/python -m sphinx -E -W --keep-going -q -c book -d build/book-cache . FOLDER
	@echo "Open build/book/index.html"

epub: $(VENV)/.installed-book
	$(BIN)/python workshop/writing.py build/epub \
	  $(BIN)/python -m sphinx -b epub -E -W --keep-going -q -c book -d build/book-cache . FOLDER
	@echo "build/epub/inducing-causal-structure.epub"

explorer: $(VENV)/.installed-workshop
	JUPYTER_PATH=workshop $(BIN)/python -m voila notebooks/explorer.ipynb --Voila.ip=127.0.0.1 --show_tracebacks=False --template=explorer \
	  $(addprefix --VoilaConfiguration.extension_allowlist=,$(WIDGET_EXTENSIONS))

refresh: $(VENV)/.installed
	$(BIN)/python notebooks/execute.py --into notebooks
	$(BIN)/python -c "from pathlib import Path; from studies.results import write_readme; write_readme(Path('README.md'), Path('notebooks'))"

models: $(VENV)/.installed
	$(BIN)/python -m studies.shipped

study: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.seed_study

own-networks: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.own_networks

early: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.early.run

controls: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.controls.run

rivals: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.rivals.run

sweep: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m studies.sweep.run $(TABLES)

bench: $(VENV)/.installed-benchmarks
	for part in steps rotation growth everyday report; do $(BIN)/python -m studies.benchmarks.$$part || exit 1; done

bench-slow: $(VENV)/.installed-benchmarks
	$(BIN)/python -m studies.benchmarks.steps --slow
	$(BIN)/python -m studies.benchmarks.report

bench-quality: $(VENV)/.installed-benchmarks
	$(BIN)/python -m studies.benchmarks.quality
	$(BIN)/python -m studies.benchmarks.efficiency
	$(BIN)/python -m studies.benchmarks.report

clean:
	rm -rf build mutants $(VENV)
