"""Damaged models raise ModelError. A crash would end the process, so they run in one of their own."""

import subprocess
import sys

import pytest

import tflite_sparse as ts
from tests.runtime.models import REFUSED, SMALL, content

CASES = 200

PROGRAM = """
import random, sys
import tflite_sparse as ts

runtime, path, kind, cases = sys.argv[1:]
model = open(path, "rb").read()
refused = 0
for seed in range(int(cases)):
    source = random.Random(seed)
    if kind == "truncated":
        bad = model[: source.randrange(len(model))]
    elif kind == "random":
        bad = source.randbytes(source.randrange(1, 5000))
    elif kind == "random with the identifier":
        bad = bytearray(source.randbytes(source.randrange(8, 5000)))
        bad[4:8] = b"TFL3"
    elif kind == "changed":
        # The structure is at both ends of the file, the weights between.
        bad = bytearray(model)
        for _ in range(source.choice([1, 2, 8])):
            near = source.randrange(4000)
            bad[source.choice([near, len(bad) - 1 - near])] = source.randrange(256)
    print(kind, seed, file=sys.stderr, flush=True)
    try:
        interpreter = ts.Interpreter(model_content=bytes(bad), runtime=runtime)
        interpreter.allocate_tensors()
    except (ts.ModelError, MemoryError):
        refused += 1
print(refused)
"""


def refused(runtime, tmp_path, kind, program=PROGRAM):
    path = tmp_path / "model.tflite"
    path.write_bytes(content(SMALL))
    command = [sys.executable, "-c", program, runtime, str(path), kind, str(CASES)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-8:]
    assert result.returncode == 0, f"ended with {result.returncode}; the last case: {last}"
    return int(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["truncated", "random", "random with the identifier"])
def test_damaged_models_are_refused(runtime, tmp_path, kind):
    assert refused(runtime, tmp_path, kind) == CASES


def test_models_with_changed_bytes_never_crash(runtime, tmp_path):
    assert 0 < refused(runtime, tmp_path, "changed") <= CASES


@pytest.mark.parametrize("name", REFUSED)
def test_unknown_custom_operation_is_named(runtime, name):
    with pytest.raises(ts.ModelError, match=r"custom op: (Landmarks2|Convolution2DTransposeBias)"):
        ts.Interpreter(model_content=content(name), runtime=runtime).allocate_tensors()


@pytest.mark.parametrize("bad", [b"", b"TFL3", b"text of another kind"])
def test_what_is_no_model_is_refused(runtime, bad):
    with pytest.raises(ts.ModelError, match=r"expected a \.tflite model"):
        ts.Interpreter(model_content=bad, runtime=runtime)


def test_missing_file_and_folder(runtime, tmp_path):
    with pytest.raises(FileNotFoundError):
        ts.Interpreter(tmp_path / "missing.tflite", runtime=runtime)
    with pytest.raises(IsADirectoryError):
        ts.Interpreter(tmp_path, runtime=runtime)
