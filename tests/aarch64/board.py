"""Running programs on an emulated board."""

import os
import subprocess
from pathlib import Path

from tools import emulator
from tools.fetch_sources import cache_root, read_lock

ROOT = Path(__file__).resolve().parent.parent.parent
# Whose packages a runtime is run with: "built-in" needs numpy alone.
SITES = {**{name: name for name in emulator.SITES}, "built-in": "ai-edge-litert"}
_FRESH = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}


def on_board(cpu, package, runtime, *arguments, variables=()):
    """Run the Arm Python with the wheel and an interpreter installed; the finished process."""
    path = [str(package), str(emulator.site(SITES[runtime])), str(ROOT)]
    environment = {"PYTHONPATH": ":".join(path), **_FRESH, **dict(variables)}
    return subprocess.run(
        [*emulator.python(cpu), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


def cross_compiler():
    """The compiler that the library is built with, for C on Arm."""
    (zig,) = (source for source in read_lock() if source.package == "ziglang")
    cache = cache_root()
    program = cache / f"ziglang-{zig.version}" / "zig"
    return f"env ZIG_GLOBAL_CACHE_DIR={cache}/zig {program} cc -target aarch64-linux-gnu.2.28"
