"""The wheel in an empty environment, with only ai-edge-litert in addition: a board's installation."""

import platform
import re
import subprocess
import sys
import zipfile

import pytest

from tools.fetch_models import fetched
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

    def run(*command):
        result = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}: {result.stderr[-2000:]}"
        return result.stdout

    # 1: install, 2: measure
    run(binaries / "pip", "install", "--quiet", built, "ai-edge-litert==2.3.0")
    model = fetched("face_landmark_fp32")
    table = run(
        binaries / "tflite-sparse", "bench", model, "--sweep", "0,0.5", "--rounds", "2", "--threads", "1"
    )  # fmt: skip
    assert re.search(r"\d\d of 43 masked layers skip", table)
    assert "compact" in table
    # What is not installed is asked for by name.
    result = subprocess.run(
        [binaries / "tflite-sparse", "bench", model, "--sweep", "0.5", "--rounds", "1", "--plot", "p.png"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "pip install 'tflite-sparse[bench]'" in result.stderr
