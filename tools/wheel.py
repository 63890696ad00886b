#!/usr/bin/env python3
"""Build the wheel of this platform into dist/ and check it.

The package is Python that any version runs and one shared library that no Python version links
against, so the tag is py3-none-PLATFORM, where auditwheel reads the platform off the library: the
oldest manylinux whose glibc has all the symbols it needs.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
OLDEST_ALLOWED = (2, 28)


def build(folder: Path) -> Path:
    """A wheel of the working tree in `folder`, still tagged for any platform."""
    library = ROOT / "tflite_sparse" / "lib" / "libtflite_sparse_delegate.so"
    if not library.is_file():
        sys.exit(f"error: {library} is not there; run `make native`")
    # setuptools would reuse, and pack, what an earlier build left there.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path, tag: str) -> Path:
    """The wheel with the tag py3-none-TAG, beside the old one, which is removed."""
    command = [sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", "py3",
               "--abi-tag", "none", "--platform-tag", tag, str(wheel)]  # fmt: skip
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return wheel.parent / result.stdout.split()[-1]


def audited_platform(wheel: Path) -> str:
    """The platform tag that auditwheel finds the wheel to be consistent with."""
    command = [sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    tag: str = json.loads(result.stdout)["overall_tag"]
    return tag


def checked(folder: Path) -> Path:
    """A wheel in `folder` with its final tag, after its contents were looked at."""
    # auditwheel wants some platform in the name before it tells which one it should be.
    wheel = retag(build(folder), f"linux_{platform.machine()}")
    tag = audited_platform(wheel)
    version = re.fullmatch(r"manylinux_(\d+)_(\d+)_\w+", tag)
    if not version or tuple(map(int, version.groups())) > OLDEST_ALLOWED:
        sys.exit(f"error: the library needs {tag}, expected manylinux_2_28 or older")
    wheel = retag(wheel, tag)
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("libtflite_sparse_delegate.so", "py.typed", "NOTICE", "LICENSE"):
        if not any(name.endswith(wanted) for name in names):
            sys.exit(f"error: {wanted} is not in {wheel.name}")
    return wheel


def main() -> int:
    """Build, tag, check; returns the exit code."""
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIST) as folder:
        wheel = checked(Path(folder))
        final = DIST / wheel.name
        wheel.replace(final)
    print(f"{final.relative_to(ROOT)}  {final.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
