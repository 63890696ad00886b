#!/usr/bin/env python3
"""A 64-bit Arm Linux in a folder, for qemu-aarch64: what the Arm wheel is tested in, without a board.

    python3 tools/emulator.py make                  # put what is missing into the user's cache
    python3 tools/emulator.py command cortex-a72    # print the command that runs an Arm program

The system is Debian 12's Python and its libraries (as on Raspberry Pi OS 12), unpacked and not
installed, with each interpreter in a folder of its own. A program sees the processor that is named:
qemu refuses the instructions which that one lacks, and /proc/cpuinfo says what a board with it would
say, because XNNPACK chooses kernels by it.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools.fetch_sources import APT_ROOT, FetchError, cache_root, read_mirror  # noqa: E402

SUITE = "bookworm"
DEBIAN_PACKAGES = ("python3", "libstdc++6", "libgomp1", "zlib1g")
SITES = {
    "ai-edge-litert": ("ai-edge-litert==2.3.0", "numpy==2.4.6", "protobuf==7.36.2"),
    "tflite-runtime": ("tflite-runtime==2.14.0", "numpy==1.26.4"),
}
TEST_TOOLS = ("pytest==9.2.0", "pytest-timeout==2.4.0")
# The newest glibc that each may ask for: bookworm's is 2.36.
WHEEL_PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (34, 28, 27, 17))


@dataclass(frozen=True)
class Board:
    """A processor as /proc/cpuinfo describes it."""

    part: str
    features: str


_ARMV8_2 = "aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
# By qemu's name of the processor. The last one has every extension that qemu knows; it calls itself
# a Neoverse N2, which has SVE2 and i8mm too.
BOARDS = {
    "cortex-a72": Board("0xd08", "fp asimd evtstrm crc32 cpuid"),
    "cortex-a76": Board("0xd0b", f"fp asimd evtstrm {_ARMV8_2}"),
    "max": Board("0xd49", f"fp asimd evtstrm {_ARMV8_2} sve sve2 i8mm bf16"),
}
_CORES = 4


def home() -> Path:
    """Folder of the system; another recipe has another folder."""
    recipe = repr((SUITE, DEBIAN_PACKAGES, SITES, TEST_TOOLS, BOARDS))
    return cache_root() / f"aarch64-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def command(cpu: str) -> list[str]:
    """The start of a command line that runs an Arm program on the processor `cpu` of BOARDS."""
    return ["qemu-aarch64-static", "-cpu", cpu, "-L", str(home() / "boards" / cpu)]


def python(cpu: str) -> list[str]:
    """The start of a command line that runs the Arm system's Python."""
    return [*command(cpu), str(home() / "system" / "usr" / "bin" / "python3.11")]


def site(runtime: str) -> Path:
    """The folder, for PYTHONPATH, of an interpreter of SITES and pytest."""
    return home() / "sites" / runtime


def install(folder: Path, *requirements: str, dependencies: bool = True) -> None:
    """Install Arm wheels into a folder; FetchError with pip's words if it refuses one."""
    arguments = [f"--platform={platform}" for platform in WHEEL_PLATFORMS]
    arguments += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
    arguments += ["--abi=cp311", "--abi=abi3", "--abi=none", f"--target={folder}"]
    if not dependencies:
        arguments.append("--no-deps")
    _run([sys.executable, "-m", "pip", "install", "--quiet", *arguments, *requirements])


def make() -> None:
    """Make the system unless it is there; FetchError says what did not arrive."""
    if home().is_dir():
        return
    for program in ("mmdebstrap", "qemu-aarch64-static"):
        if not shutil.which(program):
            raise FetchError(f"{program} is not installed; `make system-packages` installs it")
    home().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".aarch64-", dir=home().parent) as scratch:
        work = Path(scratch) / "new"
        work.mkdir()
        print(f"== unpacking an arm64 Debian {SUITE}", flush=True)
        # Chrootless: nothing of the system runs, so anybody may unpack it.
        options = ["--quiet", "--mode=chrootless", "--variant=extract", "--architectures=arm64"]
        options.append(f"--include={','.join(DEBIAN_PACKAGES)}")
        mirror = read_mirror(APT_ROOT).uri
        _run(["mmdebstrap", *options, SUITE, str(work / "system"), mirror])
        for name, requirements in SITES.items():
            print(f"== installing {name} for it", flush=True)
            install(work / "sites" / name, *requirements, *TEST_TOOLS)
        for cpu, board in BOARDS.items():
            _make_board(work / "boards" / cpu, board)
        work.rename(home())


def _make_board(folder: Path, board: Board) -> None:
    (folder / "proc").mkdir(parents=True)
    for name in ("bin", "etc", "lib", "usr"):
        (folder / name).symlink_to(Path("..", "..", "system", name))
    cores = [
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        f"CPU part\t: {board.part}\nCPU revision\t: 3\n\n"
        for core in range(_CORES)
    ]
    (folder / "proc" / "cpuinfo").write_text("".join(cores))


def _run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-5:])
        raise FetchError(f"this failed: {shlex.join(arguments)}\n{last}")


def main() -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="put what is missing into the user's cache")
    printer = commands.add_parser("command", help="print the command that runs an Arm program")
    printer.add_argument("cpu", choices=BOARDS)
    options = parser.parse_args()
    try:
        if options.command == "make":
            make()
        else:
            print(shlex.join(command(options.cpu)))
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
