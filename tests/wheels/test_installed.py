"""The wheel in an empty environment: alone, and with ai-edge-litert to compare with."""

import platform
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.test_docs import ROOT, blocks
from tools.fetch_models import fetched
from tools.make_models import made
from tools.wheel import wheel_of


@pytest.fixture
def built():
    return wheel_of(platform.machine())


def test_contents_and_tag(built):
    assert built.name.startswith("tflite_sparse-")
    assert "-py3-none-manylinux_2_" in built.name
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert not [name for name in names if name.startswith(("tests", "tools", "benchmarks"))]
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert [line for line in required if "extra ==" not in line] == ["Requires-Dist: numpy>=1.23"]


def test_from_install_to_a_table_in_an_empty_environment(built, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"

    def run(*command, refused=""):
        """Standard output; with `refused`, of a command that fails and says so on standard error."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == bool(refused), f"{command}: {done.stderr[-2000:]}"
        assert refused in done.stderr
        return done.stdout

    # 1: install, 2: run
    run(binaries / "pip", "install", "--quiet", built)
    installed = run(binaries / "pip", "list", "--format=freeze").split()
    assert {name.split("==")[0] for name in installed} <= {
        "numpy", "pip", "setuptools", "tflite-sparse", "tflite_sparse",
    }  # fmt: skip
    shutil.copy(made("face_landmark_fp32-s50"), tmp_path / "model.tflite")
    first = next(code for kind, code in blocks(ROOT / "README.md") if kind == "python")
    report = run(binaries / "python", "-c", first)
    assert re.search(r"nodes taken by the delegate: (\d+) of \1", report)
    assert "compact" in report
    # 3: measure. What that needs in addition is asked for by name.
    bench = binaries / "tflite-sparse", "bench"
    quick = ("--rounds", "2", "--threads", "1")
    run(*bench, "model.tflite", *quick, refused="pip install ai-edge-litert")
    table = run(*bench, "model.tflite", *quick, "--against", "off")
    assert "built-in 2.14.1, tflite-sparse" in table
    assert re.search(r"\d\d of 43 masked layers skip", table)
    assert not re.search("^stock", table, re.MULTILINE)
    run(binaries / "pip", "install", "--quiet", "ai-edge-litert==2.3.0")
    dense = fetched("face_landmark_fp32")
    table = run(*bench, dense, *quick, "--sweep", "0,0.5")
    assert "ai-edge-litert 2.3.0, tflite-sparse" in table
    assert re.search(r"\d\d of 43 masked layers skip", table)
    assert re.search("^compact.*^stock", table, re.MULTILINE | re.DOTALL)
    table = run(*bench, "model.tflite", *quick, "--runtime", "built-in")
    assert "built-in 2.14.1, ai-edge-litert 2.3.0, tflite-sparse" in table
    plot = ("--sweep", "0.5", "--plot", "p.png")
    run(*bench, dense, *quick, *plot, refused="pip install 'tflite-sparse[bench]'")
