"""Why a library of another platform does not load, in one sentence that says what to install."""

from __future__ import annotations

import platform
import re
import struct
from pathlib import Path

# e_machine of the ELF header, by the name that platform tags have.
_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64"}
_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


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
        with library.open("rb") as file:
            header = file.read(20)
    except OSError:
        header = b""  # the loader's own words say why
    if header[:4] == b"\x7fELF" and len(header) == 20:
        there = _MACHINES.get(struct.unpack_from("<H", header, 18)[0])
        if header[4] == 2 and bits == 32:
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
