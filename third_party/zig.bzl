"""The compiler: clang, headers and linker as PyPI's ziglang wheel packs them."""

load("//third_party:cache.bzl", "cache", "locked")

# Zig compiles its C++ runtime once for each target (a minute) and keeps it
# where all checkouts find it.
_TOOL = """#!/bin/sh
export ZIG_GLOBAL_CACHE_DIR={cache} ZIG_LOCAL_CACHE_DIR={cache}
{body}
"""

_CC = """# clang tells C from C++ by the name that it is called by; Bazel has only one.
driver=c++
for argument; do
  case $argument in *.c | *.S) driver=cc ;; esac
done
exec {zig} $driver "$@"
"""

_AR = 'exec {zig} ar "$@"\n'

def _zig_impl(ctx):
    version = locked(ctx, "ziglang").version
    home = cache(ctx) + "/ziglang-" + version
    if not ctx.path(home + "/zig").exists:
        fail("%s/zig is missing: run `python3 tools/fetch_sources.py`, which fetches it" % home)

    # As an input of each action, so that another compiler builds anew.
    ctx.symlink(home + "/zig", "zig")
    for name, body in [("cc", _CC), ("ar", _AR)]:
        ctx.file(
            name,
            _TOOL.format(body = body.format(zig = home + "/zig"), cache = cache(ctx) + "/zig"),
            executable = True,
        )
    ctx.template("BUILD.bazel", ctx.attr.build_file, {"{home}": home})

zig = repository_rule(
    implementation = _zig_impl,
    attrs = {
        "build_file": attr.label(mandatory = True),
        "_lock": attr.label(default = "//third_party:sources.lock", allow_single_file = True),
    },
    environ = ["HOME", "XDG_CACHE_HOME", "TFLITE_SPARSE_CACHE"],
)
