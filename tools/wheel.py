#!/usr/bin/env python3
"""Pack the package and its libraries into a wheel in dist/, and check it.

    python3 tools/wheel.py bazel-bin/native/*/lib*.so

The package is Python that any version runs and two shared libraries that no Python version links
against, the delegate and TensorFlow Lite. So the tag is py3-none-PLATFORM, where auditwheel reads the
platform off the libraries: their architecture, and the oldest manylinux whose glibc has all the
symbols that they need.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
OLDEST_ALLOWED = (2, 28)
MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
# The wheel is the same bytes whenever it is built: zip files know no earlier time than 1980.
TIME = "315532800"


def machine(library: Path) -> str:
    """The architecture of a library, as platform tags name it."""
    with library.open("rb") as file:
        return MACHINES[ELFFile(file).header["e_machine"]]


def wheel_of(machine_name: str) -> Path:
    """The wheel in dist/ for a machine of MACHINES."""
    wheels = list(DIST.glob(f"*_{machine_name}.whl"))
    if len(wheels) != 1:
        names = ", ".join(sorted(wheel.name for wheel in wheels)) or "none"
        raise FileNotFoundError(
            f"expected one wheel for {machine_name} in {DIST}, found {names}; "
            "run `make wheel wheel-aarch64`"
        )
    return wheels[0]


def build(libraries: Sequence[Path], folder: Path) -> Path:
    """A wheel in `folder` of the working tree with `libraries`, still tagged for any platform."""
    tree = folder / "tree"
    shutil.copytree(
        *(ROOT / "tflite_sparse", tree / "tflite_sparse"),
        ignore=shutil.ignore_patterns("__pycache__", "lib"),
    )
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tree)
    packed = tree / "tflite_sparse" / "lib"
    packed.mkdir()
    for library in libraries:
        shutil.copyfile(library, packed / library.name)
    # Modes are packed too, and those of a checkout follow its owner's umask.
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent == packed else 0o644)
    _python("-m", "build", "--wheel", "--outdir", str(folder), str(tree))
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path, tag: str) -> Path:
    """The wheel with the tag py3-none-TAG, in place of the old one."""
    output = _python(
        *("-m", "wheel", "tags", "--remove", "--python-tag", "py3"),
        *("--abi-tag", "none", "--platform-tag", tag, str(wheel)),
    )
    return wheel.parent / output.split()[-1]


def audited_platform(wheel: Path) -> str:
    """The platform tag that auditwheel finds the wheel to be consistent with."""
    tag: str = json.loads(_python("-m", "auditwheel", "show", "--json", str(wheel)))["overall_tag"]
    return tag


def _python(*arguments: str) -> str:
    # The build's own environment too gets the versions of the lock: setuptools writes its into the
    # wheel.
    constraints = (ROOT / "tools" / "constraints.txt").as_uri()
    environment = os.environ | {"SOURCE_DATE_EPOCH": TIME, "PIP_CONSTRAINT": constraints}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=environment, umask=0o022, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def main() -> int:
    """Build, tag, check; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("libraries", type=Path, nargs="+", help="what to pack, of one architecture")
    libraries = parser.parse_args().libraries
    machines = {machine(library) for library in libraries}
    if len(machines) != 1:
        sys.exit(f"error: expected libraries of one architecture, found {', '.join(machines)}")
    (architecture,) = machines
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIST) as folder:
        # auditwheel wants some platform in the name before it tells which one it should be.
        wheel = retag(build(libraries, Path(folder)), f"linux_{architecture}")
        tag = audited_platform(wheel)
        version = re.fullmatch(r"manylinux_(\d+)_(\d+)_\w+", tag)
        if not version or tuple(map(int, version.groups())) > OLDEST_ALLOWED:
            sys.exit(f"error: the libraries need {tag}, expected manylinux_2_28 or older")
        wheel = retag(wheel, tag)
        names = zipfile.ZipFile(wheel).namelist()
        for wanted in (*(path.name for path in libraries), "py.typed", "NOTICE", "LICENSE"):
            if not any(name.endswith(wanted) for name in names):
                sys.exit(f"error: {wanted} is not in {wheel.name}")
        for old in DIST.glob(f"*_{architecture}.whl"):
            old.unlink()
        final = DIST / wheel.name
        wheel.replace(final)
    print(f"{final.relative_to(ROOT)}  {final.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
