"""Every snippet of the README and the docs runs, and the options reference is the code's.

A block's kind is the word behind its fence: `python` and `sh` run, in the order of the page, in a
folder that holds the files the page speaks of; `sh make` names targets of the Makefile; `sh install`
is what tests/wheels/test_installed.py does in an empty environment; `sh c`, `c` and `cmake` are what
tests/c does; `text` and `json` are output.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import options_reference, tables_in_docs
from tools.fetch_models import fetched
from tools.make_models import made

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = ("python", "sh", "sh make", "sh install", "sh c", "c", "cmake", "text", "json")
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    return BLOCK.findall(page.read_text())


@pytest.fixture
def folder(tmp_path):
    shutil.copy(fetched("face_landmark_fp32"), tmp_path / "model.tflite")
    shutil.copy(made("face_landmark_fp32-s50"), tmp_path / "masked.tflite")
    shutil.copy(fetched("astronaut"), tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(page, folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    python = ""
    for kind, code in blocks(page):
        assert kind in KINDS, f"{page.name} has a block of the kind {kind!r}"
        if kind == "python":
            # Later blocks build on what earlier ones made.
            python += f"{code}\n"
            command = [sys.executable, "-c", python]
        elif kind == "sh":
            # Shorter measuring than a user would do.
            command = [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                code.replace("bench ", "bench --rounds 2 "),
            ]
        elif kind == "sh make":
            for target in re.findall(r"^make (\S+)", code, re.MULTILINE):
                subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
            continue
        else:
            continue
        result = subprocess.run(
            command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == 0, f"{page.name}:\n{code}\n{result.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_options_reference_is_up_to_date():
    assert options_reference.PAGE.read_text() == options_reference.page(), (
        "run: python -m tools.options_reference"
    )


@pytest.mark.parametrize("page", tables_in_docs.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_results(page):
    text = page.read_text()
    assert tables_in_docs.filled(text) == text, "run: python -m tools.tables_in_docs"
    # A table that lost its markers would be nobody's.
    others = re.sub(r"<!-- table \S+ -->.*?<!-- end -->", "", text, flags=re.DOTALL)
    assert not re.search(r"^\|.*\| \d\.\d\d \|", others, re.MULTILINE)


def test_every_table_is_on_a_page_and_follows_its_file(tmp_path, monkeypatch):
    pages = "".join(page.read_text() for page in tables_in_docs.PAGES)
    for name in tables_in_docs.TABLES:
        assert f"<!-- table {name} -->" in pages
    shutil.copytree(tables_in_docs.RESULTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(tables_in_docs, "RESULTS", tmp_path)
    before = tables_in_docs.speed_up()
    changed = (tmp_path / "speedup.json").read_text().replace('"value": 1.', '"value": 7.')
    (tmp_path / "speedup.json").write_text(changed)
    assert tables_in_docs.speed_up() != before
