#!/usr/bin/env python3
"""Pack what C programs need into dist/tflite_sparse-c-VERSION-ARCH.tar.gz.

    python3 tools/c_package.py bazel-bin/native/runtime

The archive is a prefix: unpacked anywhere it holds the library, the headers, benchmark_model, files
for pkg-config and CMake that find it wherever that is, and the licences of everything inside.
"""

from __future__ import annotations

import argparse
import gzip
import io
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.fetch_sources import cache_root, read_lock  # noqa: E402
from tools.wheel import DIST, machine  # noqa: E402

LIBRARY = "libtensorflowlite_c.so"
BENCHMARK = "benchmark_model"
OWN_HEADERS = ("native/delegate/tflite_sparse.h", "native/runtime/tflite_sparse_runtime.h")
# Upstream's C interface; the headers that these include come along.
UPSTREAM_HEADERS = ("tensorflow/lite/c/c_api.h", "tensorflow/lite/c/c_api_experimental.h",
                    "tensorflow/lite/delegates/external/external_delegate.h")  # fmt: skip
# Of everything that is linked in; a repository of Bazel's and the file in it.
LICENCES = {
    "abseil": "LICENSE", "cpuinfo": "LICENSE", "eigen3": "COPYING.MPL2", "farmhash": "COPYING",
    "flatbuffers": "LICENSE", "fp16": "LICENSE", "fxdiv": "LICENSE", "gemmlowp": "LICENSE",
    "oourafft": "readme.txt", "pthreadpool": "LICENSE", "tensorflow": "LICENSE",
    "xnnpack": "LICENSE",
}  # fmt: skip


def version() -> str:
    """The version of the package."""
    text = (ROOT / "tflite_sparse" / "_version.py").read_text()
    found = re.search(r'__version__ = "(.+)"', text)
    assert found
    return found[1]


def archive_of(machine_name: str = platform.machine()) -> Path:
    """The archive in dist/ for an architecture; FileNotFoundError says how to make it."""
    path = DIST / f"{name_of(machine_name)}.tar.gz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; run `make c-library`")
    return path


def name_of(machine_name: str) -> str:
    """Name of the archive, and of the one folder in it."""
    return f"tflite_sparse-c-{version()}-{machine_name}"


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a folder; the prefix that it holds."""
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / archive.name[: -len(".tar.gz")]


def header_closure(upstream: Path) -> list[str]:
    """UPSTREAM_HEADERS and all of upstream's headers that they include."""
    found: list[str] = []
    waiting = list(UPSTREAM_HEADERS)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        text = (upstream / name).read_text()
        waiting += re.findall(r'^#include "(tensorflow/[^"]+)"', text, re.MULTILINE)
    return sorted(found)


def lay_out(built: Path, sources: Path, prefix: Path) -> None:
    """Put everything where it belongs below `prefix`.

    Args:
        built: folder with the library and benchmark_model.
        sources: folder of Bazel's repositories.
        prefix: an empty folder.
    """
    _copy(built / LIBRARY, prefix / "lib" / LIBRARY, 0o755)
    _copy(built / BENCHMARK, prefix / "bin" / BENCHMARK, 0o755)
    for header in OWN_HEADERS:
        _copy(ROOT / header, prefix / "include" / Path(header).name)
    upstream = sources / "tensorflow"
    for header in header_closure(upstream):
        _copy(upstream / header, prefix / "include" / header)
    licences = prefix / "share" / "doc" / "tflite_sparse"
    for name in ("LICENSE", "NOTICE"):
        _copy(ROOT / name, licences / name)
    for repository, file in LICENCES.items():
        _copy(sources / repository / file, licences / f"{repository}-{file}")
    (zig,) = [source for source in read_lock() if source.package == "ziglang"]
    libcxx = cache_root() / f"ziglang-{zig.version}" / "lib" / "libcxx" / "LICENSE.TXT"
    _copy(libcxx, licences / "libcxx-LICENSE.TXT")
    for template in sorted((ROOT / "tools" / "c_package").iterdir()):
        where = "lib/pkgconfig" if template.suffix == ".pc" else "lib/cmake/tflite_sparse"
        path = prefix / where / template.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.read_text().replace("@VERSION@", version()))
        path.chmod(0o644)


def pack(prefix: Path, target: Path) -> None:
    """Write `prefix` as one folder of a .tar.gz that is the same bytes whoever packs it and when."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in [prefix, *sorted(prefix.rglob("*"))]:
            info = archive.gettarinfo(path, str(Path(prefix.name) / path.relative_to(prefix)))
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            if path.is_dir():
                info.mode = 0o755
                archive.addfile(info)
            else:
                with path.open("rb") as file:
                    archive.addfile(info, file)
    partial = target.with_name(target.name + ".tmp")
    partial.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    partial.replace(target)


def _copy(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def main() -> int:
    """Build the archive; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("built", type=Path, help=f"folder with {LIBRARY} and {BENCHMARK}")
    parser.add_argument("--bazel", default="bazel", help="the bazel that built them")
    options = parser.parse_args()
    base = subprocess.run([options.bazel, "info", "output_base"], cwd=ROOT, capture_output=True,
                          text=True, check=True).stdout.strip()  # fmt: skip
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIST) as scratch:
        name = name_of(machine(options.built / LIBRARY))
        prefix = Path(scratch) / name
        lay_out(options.built, Path(base) / "external", prefix)
        final = DIST / f"{name}.tar.gz"
        pack(prefix, final)
    print(f"{final.relative_to(ROOT)}  {final.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
