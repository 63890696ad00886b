"""Executed guest instructions of an Arm program, from qemu's log.

qemu translates a program block by block. Its log lists the instructions of each block when it is
translated, and names the block each time it is executed; a block runs from its first to its last
instruction. The sum of the sizes of all executed blocks is the number of executed instructions.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools import emulator

_INSTRUCTION = re.compile(rb"0x([0-9a-f]+):\s+[0-9a-f]{8}\s+(\S+)")


def arguments(description: str, program: Path) -> argparse.Namespace:
    """`cpu` and `write` from the command line, once the program and the emulator are there.

    Raises SystemExit if the program was not built.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpu", choices=emulator.BOARDS, default="cortex-a72")
    parser.add_argument("--write", action="store_true", help="also write into results/")
    args = parser.parse_args()
    if not program.is_file():
        raise SystemExit(f"error: expected {program}; run `make native-aarch64-benchmarks`")
    emulator.make()
    return args


def count_in(log: Iterable[bytes], start_of_name: str = "") -> int:
    """The number of executed instructions in a log of `-d in_asm,exec,nochain`.

    `start_of_name`: of those whose names start so; "ld" for loads.
    """
    prefix = start_of_name.encode()
    # By the address of a block's first instruction, as lines of executed blocks spell it.
    sizes: dict[bytes, int] = {}
    start = b""
    total = 0
    is_new = False
    for line in log:
        if line.startswith(b"Trace"):
            # Trace CPU: HOST_ADDRESS [BASE/ADDRESS/FLAGS...: there are millions of these.
            total += sizes[line.split(b"/", 2)[1]]
        elif line.startswith(b"IN:"):
            is_new = True
        elif line.startswith(b"0x"):
            found = _INSTRUCTION.match(line)
            assert found, line
            if is_new:
                start, is_new = b"%016x" % int(found[1], 16), False
                sizes[start] = 0
            sizes[start] += found[2].startswith(prefix)
    return total


def count(
    cpu: str, program: Sequence[str], single_step: bool = False, start_of_name: str = ""
) -> int:
    """Instructions that an Arm program executes on the processor `cpu` of the emulator.

    `start_of_name`: of those whose names start so; "ld" for loads.
    With `single_step`, qemu makes a block of each instruction: slow, and the same number.
    Raises RuntimeError if the program fails.
    """
    qemu, *options = emulator.command(cpu)
    options += ["-d", "in_asm,exec,nochain"] + (["-singlestep"] if single_step else [])
    with subprocess.Popen(
        [qemu, *options, *program],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=1 << 20,
    ) as process:
        assert process.stderr is not None
        total = count_in(process.stderr, start_of_name)
    if process.returncode:
        raise RuntimeError(f"{' '.join(program)} ended with {process.returncode}")
    return total
