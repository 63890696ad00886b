"""What a latency depends on besides the model: the machine and the state that it is in."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tflite_sparse._version import __version__
from tflite_sparse.delegate import library_version
from tflite_sparse.runtime import Runtime, stock_for

# Bits of the Raspberry Pi firmware's `get_throttled`, as its documentation numbers them.
_THROTTLING = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage has occurred",
    17: "frequency capping has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}
# Share of one core that others may use before a figure is doubtful.
_OTHER_LOAD = 0.10
# Change of the frequency, from before to after, that makes a figure doubtful.
_FREQUENCY_CHANGE = 0.05
_HOT = 80.0


@dataclass(frozen=True)
class Machine:
    """What does not change while measuring."""

    board: str
    cpu: str
    architecture: str
    cores: int
    memory_mb: int
    kernel: str
    libc: str
    virtual: bool
    python: str
    numpy: str
    tflite_sparse: str
    delegate: str
    runtime: str


@dataclass(frozen=True)
class State:
    """What may change: None or empty where the machine does not tell."""

    governor: str | None
    frequency_mhz: tuple[float, ...]
    temperature_c: float | None
    throttling: tuple[str, ...]
    load: float
    time: float = field(default_factory=time.monotonic)
    busy_s: float | None = None
    own_s: float = 0.0


def describe_machine(runtime: Runtime, root: Path = Path("/")) -> Machine:
    """Record the machine and the versions; `root` is where /proc and /sys are."""
    runtimes = dict.fromkeys(each for each in (runtime, stock_for(runtime)) if each is not None)
    cpuinfo = _read(root / "proc/cpuinfo") or ""
    meminfo = re.search(r"MemTotal:\s*(\d+)", _read(root / "proc/meminfo") or "")
    return Machine(
        board=_board(root),
        cpu=_cpu(cpuinfo),
        architecture=platform.machine(),
        cores=os.cpu_count() or 0,
        memory_mb=int(meminfo.group(1)) // 1024 if meminfo else 0,
        kernel=platform.release(),
        libc=" ".join(platform.libc_ver()),
        virtual=bool(re.search(r"^flags.*\bhypervisor\b", cpuinfo, re.MULTILINE)),
        python=platform.python_version(),
        numpy=np.__version__,
        tflite_sparse=__version__,
        delegate=library_version(),
        runtime=", ".join(f"{each.name} {each.version}" for each in runtimes),
    )


def read_state(root: Path = Path("/")) -> State:
    """Record governor, frequencies, temperature, throttling and load as they are now."""
    cpus = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    governors = {text for cpu in cpus if (text := _read(cpu / "scaling_governor"))}
    frequencies = [text for cpu in cpus if (text := _read(cpu / "scaling_cur_freq"))]
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    temperatures = [int(text) / 1000 for zone in zones if (text := _read(zone)) and text.isdigit()]
    times = os.times()
    return State(
        governor=", ".join(sorted(governors)) or None,
        frequency_mhz=tuple(round(int(text) / 1000, 1) for text in frequencies),
        temperature_c=max(temperatures, default=None),
        throttling=_throttling(root),
        load=os.getloadavg()[0],
        busy_s=_busy_seconds(root),
        own_s=times.user + times.system + times.children_user + times.children_system,
    )


def warnings(before: State, after: State) -> list[str]:
    """Why figures measured between the two states should not be trusted; empty if nothing is."""
    found = []
    elapsed = after.time - before.time
    if before.busy_s is not None and after.busy_s is not None and elapsed > 0:
        others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
        if others > _OTHER_LOAD * elapsed:
            found.append(
                f"other programs used {others / elapsed:.0%} of a core meanwhile; "
                "stop them and measure again"
            )
    elif before.load > 0.5:
        found.append(f"the load was {before.load:.1f} before the start; stop other programs")
    for index, (first, last) in enumerate(zip(before.frequency_mhz, after.frequency_mhz)):
        if abs(last - first) > _FREQUENCY_CHANGE * first:
            found.append(
                f"the frequency of cpu{index} changed from {first:.0f} to {last:.0f} MHz; set the "
                "governor to performance: cpupower frequency-set -g performance"
            )
            break
    governor = after.governor
    if governor is not None and governor != "performance":
        found.append(f"the cpu governor is {governor}; performance gives steadier figures")
    if after.throttling:
        found.append(f"the board reports {', '.join(after.throttling)}; check supply and cooling")
    if after.temperature_c is not None and after.temperature_c >= _HOT:
        found.append(f"the cpu is at {after.temperature_c:.0f} degrees C; it may slow down")
    return found


def emulation(root: Path = Path("/")) -> str | None:
    """Why this process seems to run under a cpu emulator, whose times mean nothing; else None."""
    thread = root / f"proc/self/task/{threading.get_native_id()}/maps"
    for path in (thread, root / "proc/thread-self/maps"):
        mapped = re.search(r"\S*qemu-\w+\S*", _read(path) or "")
        if mapped:
            return f"{mapped.group().rpartition('/')[2]} is mapped into this process"
    machine = platform.machine()
    kernel = _read(root / "proc/sys/kernel/arch")
    if kernel and _family(kernel) != _family(machine):
        return f"the process is {machine}, its kernel {kernel}"
    cpuinfo = _read(root / "proc/cpuinfo") or ""
    if _family(machine) == "arm" and re.search(r"^flags\s*:.*\bsse2\b", cpuinfo, re.MULTILINE):
        return f"the process is {machine}, its cpu an x86"
    return None


def as_dict(record: Machine | State) -> dict[str, Any]:
    """A record ready for json.dumps."""
    values = asdict(record)
    for internal in ("time", "busy_s", "own_s"):
        values.pop(internal, None)
    return values


def reset_peak_memory() -> float:
    """Forget the most memory that this process has held; returns what it holds now, in MB."""
    # Linux: 5 resets the high-water mark (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")
    return _own_memory_mb("VmRSS")


def peak_memory_mb() -> float:
    """The most memory that this process has held since the last reset, in MB."""
    return _own_memory_mb("VmHWM")


def _own_memory_mb(field: str) -> float:
    found = re.search(
        rf"^{field}:\s*(\d+) kB", _read(Path("/proc/self/status")) or "", re.MULTILINE
    )
    return int(found.group(1)) / 1024 if found else 0.0


def _family(machine: str) -> str:
    if machine.startswith(("arm", "aarch64")):
        return "arm"
    return "x86" if re.fullmatch(r"x86_64|amd64|i\d86", machine) else machine


def _board(root: Path) -> str:
    model = _read(root / "proc/device-tree/model") or _read(
        root / "sys/devices/virtual/dmi/id/product_name"
    )
    return (model or "unknown").rstrip("\0")


def _cpu(cpuinfo: str) -> str:
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if name:
        return name.group(1).strip()
    parts = sorted(set(re.findall(r"^CPU part\s*:\s*(\S+)$", cpuinfo, re.MULTILINE)))
    known = {"0xd03": "Cortex-A53", "0xd05": "Cortex-A55", "0xd08": "Cortex-A72",
             "0xd0b": "Cortex-A76"}  # fmt: skip
    return " + ".join(known.get(part, f"ARM part {part}") for part in parts) or "unknown"


def _throttling(root: Path) -> tuple[str, ...]:
    text = _read(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and root == Path("/") and shutil.which("vcgencmd"):
        result = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=10, check=False
        )
        text = result.stdout.strip().rpartition("=")[2]
    try:
        flags = int(text or "0", 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in _THROTTLING.items() if flags >> bit & 1)


def _busy_seconds(root: Path) -> float | None:
    first = (_read(root / "proc/stat") or "").split("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def pin(cpus: list[int]) -> None:
    """Keep this process, and what it starts, on the given cpus; ValueError if one is not there."""
    allowed = os.sched_getaffinity(0)
    missing = sorted(set(cpus) - allowed)
    if missing or not cpus:
        raise ValueError(
            f"cpu {', '.join(map(str, missing)) or 'list'} is not there; "
            f"this process may use {', '.join(map(str, sorted(allowed)))}"
        )
    os.sched_setaffinity(0, cpus)
