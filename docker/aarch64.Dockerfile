# Builds the wheel of one platform on a plain Debian; docker/README.md has the commands. The two
# files of this kind differ in the next three lines.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
ENV CONFIG=--config=aarch64

# What the layers below are made with: the compiler comes with the sources.
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bazel-bootstrap bzip2 ca-certificates python3-venv xz-utils \
 && rm -rf /var/lib/apt/lists/*
ARG PIP_CERT
WORKDIR /src
COPY third_party/sources.lock third_party/
COPY tools/fetch_sources.py tools/
RUN python3 -m venv .venv && .venv/bin/python tools/fetch_sources.py

# Upstream's micro-kernels and the compiler's C++ runtime, the longest part by far: only another patch
# or another flag changes them.
COPY WORKSPACE .bazelrc .bazelversion ./
COPY tools/bazel tools/
COPY third_party third_party
COPY patches patches
# Bazel's server ends with its layer: left alive under chroot isolation, it would see this layer's files.
RUN bazel build --disk_cache= ${CONFIG} @xnnpack//:kernels.so && bazel shutdown

COPY tools/constraints.txt tools/
RUN .venv/bin/python -m pip install --quiet -c tools/constraints.txt auditwheel build pyelftools wheel
COPY . .
RUN bazel build --disk_cache= ${CONFIG} --symlink_prefix=bazel- \
      native/delegate/libtflite_sparse_delegate.so native/runtime/libtensorflowlite_c.so \
 && bazel shutdown \
 && .venv/bin/python tools/wheel.py bazel-bin/native/*/lib*.so

FROM scratch
COPY --from=build /src/dist/ /
