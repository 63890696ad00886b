"""benchmarks/engine: what it writes, and that it times nothing that is wrong."""

import json

import numpy as np
import pytest

from benchmarks.engine import __main__ as command
from benchmarks.engine import end_to_end
from tflite_sparse.graph import ModelFile, find_layers
from tflite_sparse.graph.layers import CONVOLUTIONS

ARGUMENTS = [
    "--networks",
    "mobilenetv2",
    "--types",
    "float32",
    "--sparsities",
    "0,0.5",
    "--rounds",
    "1",
]


def test_result_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    assert command.main([*ARGUMENTS, "--write", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    name = "mobilenetv2-float32"
    assert json.loads((tmp_path / f"engine-{name}.json").read_text()) == record
    assert name in (tmp_path / "engine.md").read_text()
    assert (tmp_path / f"engine-{name}.md").read_text().count("### Layers at ") == 2

    rows = {(row["sparsity"], row["threads"], row["variant"]): row for row in record["end_to_end"]}
    assert len(rows) == 2 * 2 * 4
    for (sparsity, threads, variant), row in rows.items():
        # Up to a tenth more than the masks leave: pixels that no window reads are not computed.
        least = 1 if variant == "dense" else 1 / (1 - sparsity)
        assert least * 0.99 <= row["ideal"] <= least * (1 if variant == "dense" else 1.1)
        assert row["latency"]["samples"] >= 5
        assert (row["scaling"] is None) == (threads == 1)
    masked = rows[0.5, 1, "compact"]
    assert masked["forms"]["compact"] > 50
    assert masked["arena_bytes"] < masked["dense_arena_bytes"]
    assert masked["sparsity_bytes"] > 0

    file = command.Case("mobilenetv2", "float32", "paper").masked(0.5)
    names = [
        layer.name for layer in find_layers(ModelFile.read(file)) if layer.kind in CONVOLUTIONS
    ]
    (_, layers) = record["layers"]
    assert [row["layer"] for row in layers["rows"]] == names
    for row in layers["rows"]:
        assert min(row["microseconds"].values()) > 0
    assert layers["row_copy_share"].keys() == layers["total_us"].keys()


def test_outputs_that_differ_are_not_timed(monkeypatch, capsys):
    def measure(*_, **__):
        raise AssertionError("it was timed")

    class Wrong(end_to_end.Variant):
        def outputs(self):
            return [value + np.float32(1e-3) for value in super().outputs()]

    def load(case, name, *arguments):
        variant = original(case, name, *arguments)
        if name == "compact":
            variant.__class__ = Wrong
        return variant

    original = end_to_end.load
    monkeypatch.setattr(end_to_end, "load", load)
    monkeypatch.setattr(end_to_end, "measure", measure)
    assert command.main([*ARGUMENTS, "--parts", "end-to-end"]) == 1
    assert "mode=compact differs from that of the multiply" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--networks", "alexnet"], ["--sparsities", "1.5"], ["--rounds", "0"]]
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
