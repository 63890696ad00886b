"""Whether a library is whole, and why one of another platform does not load: what to install."""

from __future__ import annotations

import platform
import re
import struct
from dataclasses import dataclass
from pathlib import Path

# e_machine of the ELF header, by the name that platform tags have.
_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64"}
_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class _Header:
    """What is used of an ELF header: "ELF-64 Object File Format", version 1.5, figure 3."""

    bits: int
    machine: int
    table: int
    entry_size: int
    entries: int


def _read_header(library: Path) -> _Header | None:
    """The header of an ELF file; None if it is none or cut short."""
    with library.open("rb") as file:
        header = file.read(64)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return None
    (machine,) = struct.unpack_from("<H", header, 18)
    if header[4] != 2 or len(header) < 64:
        return _Header(32, machine, 0, 0, 0)
    (table,) = struct.unpack_from("<Q", header, 32)
    entry_size, entries = struct.unpack_from("<HH", header, 54)
    return _Header(64, machine, table, entry_size, entries)


def check_complete(library: Path) -> None:
    """Raise OSError if an ELF file ends before its segments do.

    The loader maps the segments without looking, and the process would die at the first access.
    """
    header = _read_header(library)
    if header is None or header.bits != 64:
        raise OSError("it is not a 64-bit ELF file")
    with library.open("rb") as file:
        file.seek(header.table)
        segments = file.read(header.entry_size * header.entries)
    ends = [header.table + header.entry_size * header.entries]
    for start in range(0, len(segments) - header.entry_size + 1, max(header.entry_size, 1)):
        segment = segments[start : start + header.entry_size]
        if len(segment) >= 40:
            (offset,), (size,) = (struct.unpack_from("<Q", segment, at) for at in (8, 32))
            ends.append(offset + size)
    length = library.stat().st_size
    if length < max(ends):
        raise OSError(f"it is cut short, {length} of at least {max(ends)} bytes")


def mismatch(
    library: Path, loader_says: str, machine: str | None = None, pointer_bits: int | None = None
) -> str | None:
    """What about this platform keeps a library from loading; None if it is something else.

    Args:
        library: path of the library.
        loader_says: the text of the dynamic loader's error.
        machine: the processor, as platform.machine() has it; this machine's by default. It is the
            kernel's: a 32-bit system on a 64-bit kernel has a 64-bit one.
        pointer_bits: 32 or 64; those of this Python by default.
    """
    bits = pointer_bits or 8 * struct.calcsize("P")
    here = machine or platform.machine()
    here = _SAME.get(here.lower(), here)
    try:
        header = _read_header(library)
    except OSError:
        header = None  # the loader's own words say why
    if header is not None:
        there = _MACHINES.get(header.machine)
        if header.bits == 64 and bits == 32:
            return (
                f"the library is for 64-bit {there} and this Python is a 32-bit program (on {here}); "
                "install a 64-bit system, for example Raspberry Pi OS (64-bit), and its Python"
            )
        if there is not None and there != here:
            return (
                f"the library is for {there} and this machine is {here}; "
                f"install the wheel whose name ends with {here}.whl"
            )
    needed = re.search(r"version `GLIBC_([\d.]+)' not found", loader_says)
    if needed:
        found = platform.libc_ver()[1] or "an unknown version"
        return (
            f"the library needs glibc {needed[1]} or newer and this system has {found}; "
            "install a newer system, for example Debian 11 or Raspberry Pi OS 11"
        )
    return None
