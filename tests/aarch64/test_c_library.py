"""The C library for Arm: the example and benchmark_model on emulated processors."""

import json
import os
import subprocess

import pytest

import tflite_sparse as ts
from tests.aarch64.board import ROOT, cross_compiler
from tests.c import photo
from tools import emulator
from tools.c_package import archive_of, unpack
from tools.make_models import made

EXTERNAL = ("--use_xnnpack=false", "--external_delegate_options=mode:insert;num_threads:1")
QUICK = ("--num_runs=1", "--warmup_runs=0", "--min_secs=0", "--warmup_min_secs=0")


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """The archive for C users, unpacked."""
    return unpack(archive_of("aarch64"), tmp_path_factory.mktemp("prefix"))


@pytest.fixture(scope="session")
def examples(prefix, tmp_path_factory):
    """Folder of the examples, cross-compiled with the flags that pkg-config gives."""
    folder = tmp_path_factory.mktemp("examples")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "tflite_sparse"],
        env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for source in (ROOT / "examples" / "c").glob("*.c"):
        command = [*cross_compiler().split(), source, *flags, "-o", folder / source.stem]
        subprocess.run(command, check=True)
    return folder


def run(cpu, program, *arguments, **variables):
    """Standard output and standard error of a program that has to succeed."""
    done = subprocess.run(
        [str(part) for part in (*emulator.command(cpu), program, *arguments)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def check(report, form, threads):
    assert report["nodes_taken"] == report["nodes_total"] > 50
    assert report["num_threads"] == threads
    assert form in {layer["form"] for layer in report["layers"]}


def test_classify(cpu, examples, tmp_path):
    picture = photo.write(tmp_path / "photo.ppm")
    said, report = (
        run(cpu, examples / "classify", made(photo.MODEL), picture).strip().splitlines()[-2:]
    )
    photo.check(said)
    check(json.loads(report), "compact", 2)


def test_benchmark_model(cpu, prefix, tmp_path):
    report = tmp_path / "report"
    program, graph = prefix / "bin" / "benchmark_model", f"--graph={made(photo.MODEL)}"
    said = run(cpu, program, graph, *QUICK, TFLITE_SPARSE_REPORT=str(report))
    assert "Inference timings in us" in said
    check(json.loads(report.read_text()), "compact", 1)


def test_the_delegate_in_another_program(cpu, examples, prefix, package):
    library = package / "tflite_sparse" / "lib" / ts.delegate_library().name
    found = {
        run(cpu, examples / "external_delegate", library, made(photo.MODEL), mode).split()[-1]
        for mode in ("compact", "insert", "off")
    }
    assert len(found) == 1
    program, graph = prefix / "bin" / "benchmark_model", f"--graph={made(photo.MODEL)}"
    path = f"--external_delegate_path={library}"
    said = run(cpu, program, graph, path, *EXTERNAL, *QUICK)
    assert "will be completely executed by the delegate" in said
