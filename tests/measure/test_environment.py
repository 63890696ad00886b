"""The record of the machine, read from made-up /proc and /sys."""

import dataclasses
import os

import pytest

from tflite_sparse.measure import environment


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def raspberry(tmp_path):
    write(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd08\n",
            "proc/meminfo": "MemTotal:        3884360 kB\n",
            "proc/stat": "cpu  100 0 50 1000 0 0 0 0 0 0\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
            "sys/class/thermal/thermal_zone0/temp": "61322\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        },
    )
    return tmp_path


def test_state_of_a_raspberry_pi(raspberry):
    state = environment.read_state(raspberry)
    assert state.governor == "ondemand"
    assert state.frequency_mhz == (1500.0,)
    assert state.temperature_c == pytest.approx(61.322)
    assert state.throttling == (
        "under-voltage now",
        "throttled now",
        "under-voltage has occurred",
        "throttling has occurred",
    )


def test_machine_of_a_raspberry_pi(raspberry, monkeypatch):
    from tflite_sparse.runtime import find_runtime

    machine = environment.describe_machine(find_runtime(), raspberry)
    assert machine.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert machine.cpu == "Cortex-A72"
    assert machine.memory_mb == 3793
    assert not machine.virtual


def test_a_machine_that_tells_nothing(tmp_path):
    state = environment.read_state(tmp_path)
    assert state.governor is None
    assert state.frequency_mhz == ()
    assert state.temperature_c is None
    assert state.throttling == ()
    assert environment.emulation(tmp_path) is None


def test_warnings(raspberry):
    before = environment.read_state(raspberry)
    quiet = dataclasses.replace(before, governor="performance", throttling=(), temperature_c=50.0)
    assert environment.warnings(quiet, dataclasses.replace(quiet, time=quiet.time + 10)) == []

    def warned(**changes):
        after = dataclasses.replace(quiet, time=quiet.time + 10, **changes)
        (warning,) = environment.warnings(quiet, after)
        return warning

    assert "600 MHz" in warned(frequency_mhz=(600.0,))
    assert "governor is powersave" in warned(governor="powersave")
    assert "throttled now" in warned(throttling=("throttled now",))
    assert "85 degrees" in warned(temperature_c=85.0)
    assert "50% of a core" in warned(busy_s=quiet.busy_s + 5)
    # What this process itself used is no disturbance.
    after = dataclasses.replace(
        quiet, time=quiet.time + 10, busy_s=quiet.busy_s + 9, own_s=quiet.own_s + 9
    )
    assert environment.warnings(quiet, after) == []


def test_emulation_is_found(tmp_path, monkeypatch):
    assert environment.emulation() is None
    write(tmp_path, {"proc/thread-self/maps": "0-1 r-xp 0 0 0 /usr/bin/qemu-aarch64-static\n"})
    assert "qemu-aarch64-static" in environment.emulation(tmp_path)


def test_emulation_shows_in_the_kernel_and_in_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    write(tmp_path, {"proc/sys/kernel/arch": "x86_64\n"})
    assert "kernel x86_64" in environment.emulation(tmp_path)
    (tmp_path / "proc/sys/kernel/arch").write_text("aarch64\n")
    assert environment.emulation(tmp_path) is None
    write(tmp_path, {"proc/cpuinfo": "flags\t\t: fpu sse sse2 avx\n"})
    assert "an x86" in environment.emulation(tmp_path)


def test_pinning(monkeypatch):
    allowed = os.sched_getaffinity(0)
    with pytest.raises(ValueError, match="cpu 999 is not there"):
        environment.pin([999])
    environment.pin([min(allowed)])
    try:
        assert os.sched_getaffinity(0) == {min(allowed)}
    finally:
        os.sched_setaffinity(0, allowed)


def test_peak_memory_sees_what_was_held_since_the_reset():
    before = environment.reset_peak_memory()
    block = bytearray(64 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert environment.peak_memory_mb() - before > 60
