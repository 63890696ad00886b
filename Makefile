# Everyday commands. `make demo` and `make test` are all that a fresh clone needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tflite-sparse
BAZEL ?= $(shell command -v bazelisk || command -v bazel)
BAZEL_FLAGS ?= --disk_cache=$(CACHE)/bazel

BIN := .venv/bin
PIP_INSTALL := -m pip install --disable-pip-version-check --quiet
# The processors that the Arm wheel is tested on: of a Raspberry Pi 4, of a 5, and all that qemu has.
CPUS := cortex-a72 cortex-a76 max
# As bazel takes them, and below its folders of outputs.
DELEGATE := native/delegate/libtflite_sparse_delegate.so
# The whole of TensorFlow Lite: not part of `make native`, because it takes minutes to compile.
RUNTIME := native/runtime/libtensorflowlite_c.so
BENCHMARK_MODEL := native/runtime/benchmark_model
# Interpreters that cannot share an environment with the newest ones, each in one of its own.
RUNTIME_ENVS := tflite-runtime built-in litert-1 litert-2.1 litert-2.2
tflite-runtime_PACKAGES := tflite-runtime==2.14.0 "numpy<2"
# What the wheel needs, and no interpreter.
built-in_PACKAGES := numpy
litert-1_PACKAGES := ai-edge-litert==1.4.0
# It imports ml_dtypes and does not ask for it.
litert-2.1_PACKAGES := ai-edge-litert==2.1.6 ml_dtypes
litert-2.2_PACKAGES := ai-edge-litert==2.2.0

NATIVE_SOURCES = $(shell git ls-files 'native/*.c' 'native/*.cc' 'native/*.h')

.PHONY: help setup demo test lint bench wheel clean wheel-aarch64 test-aarch64 emulator
.PHONY: native-aarch64-benchmarks docker-check c-library c-library-aarch64 test-hostile test-architectures test-upstream
PYTHON_TESTS := python-test-main python-test-tensorflow $(RUNTIME_ENVS:%=python-test-%)
.PHONY: native native-runtime native-test python-test $(PYTHON_TESTS) system-packages sources runtimes models fetched-models format

help:
	@echo 'make setup   environment in .venv, system packages, sources'
	@echo 'make demo    a trained network on 10,000 real pictures, through this delegate and the stock one'
	@echo 'make test    everything that CI runs'
	@echo 'make lint    ruff, mypy --strict, clang-format'
	@echo 'make format  rewrite the files as `make lint` wants them'
	@echo 'make bench   the tables in benchmarks/results'
	@echo 'make wheel   dist/*.whl, checked for its manylinux tag'
	@echo 'make wheel-aarch64  the same for 64-bit Arm Linux (Raspberry Pi 4 and 5), cross-built'
	@echo 'make c-library  dist/tflite_sparse-c-*.tar.gz: TensorFlow Lite with the engine inside, for C programs'
	@echo 'make c-library-aarch64  the same for 64-bit Arm Linux, cross-built'
	@echo 'make test-aarch64   both and the native tests on emulated processors'
	@echo 'make test-hostile   10,000 changed models, loaded and run under AddressSanitizer'
	@echo 'make test-upstream  TensorFlow Lite'"'"'s own tests, with this engine inside'
	@echo 'make test-architectures   all networks of keras.applications; `make test` has one of them'
	@echo 'make docker-check   the Dockerfiles, built with buildah'
	@echo 'make clean   remove what was built here (the user cache stays)'

setup: system-packages sources .venv/.full-stamp runtimes
	@echo 'ready: make demo, make test, or source .venv/bin/activate'

# --- environments -------------------------------------------------------------------------------

system-packages:
	@tools/system_packages.sh tools/system-packages.txt

.venv/bin/python:
	$(PYTHON) -m venv .venv

# Enough to build, to run a model, to lint.
.venv/.light-stamp: pyproject.toml tools/constraints.txt | .venv/bin/python
	@echo '== .venv: package, interpreter, tools'
	$(BIN)/python $(PIP_INSTALL) -c tools/constraints.txt -e '.[litert,bench,dev]'
	@touch $@

# The converters too: tensorflow and torch, several GB.
.venv/.full-stamp: .venv/.light-stamp
	@echo '== .venv: tensorflow and torch (about five minutes when nothing is cached)'
	$(BIN)/python $(PIP_INSTALL) -c tools/constraints.txt -e '.[litert,bench,dev,keras,torch,nir]'
	# What tests count against needs torch alone; the package asks for 24 more, torchaudio among them.
	$(BIN)/python $(PIP_INSTALL) --no-deps neurobench==2.3.0
	@touch $@

runtimes: $(RUNTIME_ENVS:%=.venvs/%/.stamp)

.venvs/%/.stamp: Makefile
	@echo '== .venvs/$*: $($*_PACKAGES)'
	test -x .venvs/$*/bin/python || $(PYTHON) -m venv .venvs/$*
	.venvs/$*/bin/python $(PIP_INSTALL) $($*_PACKAGES) pytest pytest-timeout
	.venvs/$*/bin/python -c 'import sysconfig; open(sysconfig.get_path("purelib") + "/tflite_sparse_checkout.pth", "w").write("$(CURDIR)\n")'
	@touch $@

models: fetched-models build/models/.stamp

fetched-models: .venv/.light-stamp
	@$(BIN)/python tools/fetch_models.py

build/models/.stamp: tools/make_models.py tools/models.lock $(wildcard tflite_sparse/convert/*.py tflite_sparse/graph/*.py tflite_sparse/masks/*.py) | fetched-models
	$(BIN)/python -m tools.make_models
	@touch $@

# --- native -------------------------------------------------------------------------------------

# With the environment's Python, because the compiler comes through its pip.
sources: system-packages .venv/bin/python
	@$(BIN)/python tools/fetch_sources.py

native: LIBRARY := $(DELEGATE)
native-runtime: LIBRARY := $(RUNTIME)
# Always asks bazel, which knows best what is stale; the copy changes only when the library did.
native native-runtime: sources
	$(BAZEL) build $(BAZEL_FLAGS) $(LIBRARY)
	@mkdir -p tflite_sparse/lib
	@copy=tflite_sparse/lib/$(notdir $(LIBRARY)); \
	if ! cmp -s bazel-bin/$(LIBRARY) $$copy; then \
	  install -m 755 bazel-bin/$(LIBRARY) $$copy.tmp; \
	  mv -f $$copy.tmp $$copy; \
	fi

native-test: native
	$(BAZEL) test $(BAZEL_FLAGS) --test_output=errors //native/...

# --- commands -----------------------------------------------------------------------------------

demo: native .venv/.full-stamp
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -W ignore -m examples.fashion_mnist.demo

test: lint native-test python-test

python-test: $(PYTHON_TESTS)

python-test-main: native .venv/.full-stamp .venvs/tflite-runtime/.stamp models wheel wheel-aarch64 c-library \
  emulator native-aarch64-benchmarks
	$(BIN)/python -m pytest

# The same tests in every interpreter; `python-test-main` has run them in ai-edge-litert 2.
python-test-tensorflow: python-test-main
	$(BIN)/python -m pytest tests/runtime --runtime tensorflow

python-test-tflite-runtime: native models .venvs/tflite-runtime/.stamp
	.venvs/tflite-runtime/bin/python -m pytest tests/runtime --runtime tflite-runtime

python-test-built-in: native native-runtime models .venvs/built-in/.stamp
	.venvs/built-in/bin/python -m pytest tests/runtime --runtime built-in

python-test-litert-1: native models .venvs/litert-1/.stamp
	.venvs/litert-1/bin/python -m pytest tests/runtime --runtime ai-edge-litert

# The Interpreter of 2.1 and 2.2 is that of 2.3; CompiledModel differs.
python-test-litert-2.1: native models .venvs/litert-2.1/.stamp
	.venvs/litert-2.1/bin/python -m pytest tests/runtime/test_compiled_model.py

python-test-litert-2.2: native models .venvs/litert-2.2/.stamp
	.venvs/litert-2.2/bin/python -m pytest tests/runtime/test_compiled_model.py tests/litert

lint: .venv/.light-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(NATIVE_SOURCES)

format: .venv/.light-stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(NATIVE_SOURCES)

bench: native .venv/.full-stamp runtimes models
	$(BIN)/python -m benchmarks.dense_parity
	$(BIN)/python -m benchmarks.engine --write

wheel: native native-runtime .venv/.light-stamp
	$(BIN)/python tools/wheel.py bazel-bin/$(DELEGATE) bazel-bin/$(RUNTIME)

wheel-aarch64: sources .venv/.light-stamp
	$(BAZEL) build $(BAZEL_FLAGS) --config=aarch64 $(DELEGATE) $(RUNTIME)
	$(BIN)/python tools/wheel.py bazel-aarch64-bin/$(DELEGATE) bazel-aarch64-bin/$(RUNTIME)

c-library: sources .venv/.light-stamp
	$(BAZEL) build $(BAZEL_FLAGS) $(RUNTIME) $(BENCHMARK_MODEL)
	$(BIN)/python tools/c_package.py --bazel=$(BAZEL) bazel-bin/native/runtime

c-library-aarch64: sources .venv/.light-stamp
	$(BAZEL) build $(BAZEL_FLAGS) --config=aarch64 $(RUNTIME) $(BENCHMARK_MODEL)
	$(BIN)/python tools/c_package.py --bazel=$(BAZEL) bazel-aarch64-bin/native/runtime

native-aarch64-benchmarks: sources
	$(BAZEL) build $(BAZEL_FLAGS) --config=aarch64 //native/benchmarks/...

# Needs no Docker: buildah builds the same files, from a Debian made here.
docker-check: .venv/bin/python
	@tools/system_packages.sh docker/packages.txt
	docker/check.sh

# An Arm system in the user's cache, for qemu.
emulator: system-packages .venv/.light-stamp
	@$(BIN)/python tools/emulator.py make

# The native tests, the wheel and the C library on every emulated processor; `make test` has the short part.
test-aarch64: wheel wheel-aarch64 c-library-aarch64 emulator models native-aarch64-benchmarks $(CPUS:%=native-test-%)
	TFLITE_SPARSE_CPUS="$(CPUS)" $(BIN)/python -m pytest tests/aarch64 tests/wheels

test-architectures: native .venv/.full-stamp
	$(BIN)/python -m pytest tests/architectures --all-architectures

native-test-%: emulator sources
	$(BAZEL) test $(BAZEL_FLAGS) --config=aarch64 --test_env=TFLITE_SPARSE_GRAPHS=20 \
	  --test_tag_filters=-x86_64 \
	  --test_timeout=1200 --run_under="$$($(BIN)/python tools/emulator.py command $*)" \
	  //native/tests/... //native/delegate/... //native/ruy_shim/...

# `make test` has short runs, without the sanitizer, whose functions come only when Python starts.
test-hostile: sources .venv/.full-stamp
	$(BAZEL) build $(BAZEL_FLAGS) --config=asan --linkopt=-Wl,-z,undefs $(DELEGATE) $(RUNTIME)
	$(BIN)/python -m tests.hostile.run --sanitizer bazel-sanitize-bin/$(DELEGATE)
	$(BIN)/python -m tests.hostile.run --runtime built-in --sanitizer bazel-sanitize-bin/$(RUNTIME)

# Of its XNNPACK delegate: with zeros skipped where that is faster, and everywhere.
test-upstream: sources
	$(BAZEL) test $(BAZEL_FLAGS) @tensorflow//:upstream_tests
	$(BAZEL) test $(BAZEL_FLAGS) --test_env=TFLITE_SPARSE_SKIP_ZEROS=always @tensorflow//:upstream_tests

clean:
	rm -rf .venv .venvs build dist demo-out *.egg-info tflite_sparse/lib bazel-*
