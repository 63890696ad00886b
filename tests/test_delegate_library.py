"""A library that is missing, broken or of another kind is an error with a reason, never a crash."""

import os
import re
import subprocess
import sys

import pytest

import tflite_sparse as ts
from tests.runtime.models import SMALL
from tflite_sparse.delegate import library_version
from tflite_sparse.platform_check import mismatch
from tools.fetch_models import fetched

PROGRAM = """
import sys
import tflite_sparse as ts
try:
    ts.Interpreter(sys.argv[1])
except ts.DelegateError as error:
    print(error)
"""


def message(library):
    """What an Interpreter says with that library; in a process of its own, it could crash."""
    command = [sys.executable, "-c", PROGRAM, str(fetched(SMALL))]
    environment = {**os.environ, "TFLITE_SPARSE_DELEGATE": str(library)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-300:]}"
    assert result.stdout, "the library was accepted"
    return result.stdout


def test_version_is_the_package_version():
    assert library_version() == ts.__version__


def test_library_path_exists():
    assert ts.delegate_library().is_file()


@pytest.mark.parametrize("size", [0, 10, 64, 1000, 100_000, 1_000_000])
def test_library_cut_short(tmp_path, size):
    broken = tmp_path / "broken.so"
    broken.write_bytes(ts.delegate_library().read_bytes()[:size])
    assert "is not a tflite-sparse delegate" in message(broken)


def test_library_of_random_bytes(tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(os.urandom(5000))
    assert "is not a tflite-sparse delegate" in message(broken)


def test_newer_glibc_is_asked_for_by_name(tmp_path):
    content = ts.delegate_library().read_bytes()
    newest = max(re.findall(rb"GLIBC_2\.(\d\d)\0", content))
    library = tmp_path / "newer.so"
    library.write_bytes(content.replace(b"GLIBC_2.%b\0" % newest, b"GLIBC_9.%b\0" % newest))
    said = message(library)
    assert f"needs glibc 9.{newest.decode()} or newer and this system has 2." in said
    assert "\n" not in said.strip()


@pytest.mark.parametrize("machine", ["aarch64", "armv7l"])
def test_32_bit_userland_is_told_apart(machine):
    said = mismatch(ts.delegate_library(), "wrong ELF class: ELFCLASS64", machine, 32)
    assert "this Python is a 32-bit program" in said
    assert "install a 64-bit system" in said


def test_another_library():
    import math

    assert "tflite_sparse_version" in message(math.__file__)


def test_missing_library_and_folder(tmp_path):
    assert "is not a file" in message(tmp_path / "missing.so")
    assert "is not a file" in message(tmp_path)


def test_platform_without_a_library(monkeypatch, tmp_path):
    """As on a platform that no wheel is built for: import works, use says what is missing."""
    monkeypatch.delenv("TFLITE_SPARSE_DELEGATE", raising=False)
    monkeypatch.setattr("tflite_sparse.delegate.__file__", str(tmp_path / "delegate.py"))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(
        ts.DelegateError, match=r"x86_64 and aarch64 only; this is Linux on riscv64"
    ):
        ts.Interpreter(fetched(SMALL))


def test_no_interpreter_installed(monkeypatch):
    monkeypatch.setattr("tflite_sparse.runtime.installed_runtimes", list)
    with pytest.raises(ts.DelegateError, match="pip install ai-edge-litert"):
        ts.Interpreter(fetched(SMALL))
    with pytest.raises(ts.DelegateError, match="tflite-runtime is not installed"):
        ts.Interpreter(fetched(SMALL), runtime="tflite-runtime")


def test_unknown_runtime():
    with pytest.raises(ts.OptionError, match=r"one of ai-edge-litert.*found 'onnx'"):
        ts.Interpreter(fetched(SMALL), runtime="onnx")
