"""The paper's networks: benchmarks/networks.py. One of them; the others differ in layers only."""

import sys
from pathlib import Path

import numpy as np
import pytest
from expectations import assert_masked, assert_skipped

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import networks

from tflite_sparse import MaskSet
from tflite_sparse.convert.checking import Reference


def test_masks_by_the_papers_rule_and_on_every_layer():
    by_paper, every = networks.masks("resnet18", 0.3), networks.masks("resnet18", 0.3, rule="all")
    assert (len(by_paper), len(every)) == (17, 20)
    assert {by_paper[name].tobytes() for name in by_paper} <= {m.tobytes() for m in every.values()}
    assert by_paper.sparsity == pytest.approx(0.3, abs=1e-3)


def test_activations_neither_vanish_nor_explode():
    (logits,) = Reference(networks.masked("resnet18", 0)).run([networks._images(224, 1, seed=9)])
    assert 0.1 < float(np.std(logits)) < 10


def test_masked_pixels_are_zero_and_skipped():
    content, masks = networks.masked("resnet18", 0.5), networks.masks("resnet18", 0.5)
    assert_masked(content, masks)
    assert_skipped(content, masks)


def test_the_command_line_writes_what_it_names(tmp_path, capsys):
    arguments = ["--networks", "resnet18", "--types", "float32", "--sparsity", "0,0.3"]
    assert networks.main(["--out", str(tmp_path), *arguments]) == 0
    names = ["resnet18-s00.tflite", "resnet18-s30.tflite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in names]
    assert isinstance(networks.masks("resnet18", 0.3), MaskSet)
