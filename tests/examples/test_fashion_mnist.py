"""The example trains, stops, resumes, converts and reports; the committed runs are what they say."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from examples.fashion_mnist import data, demo, deploy, report
from examples.fashion_mnist.runs import GROUPS, NETWORKS, Run
from examples.fashion_mnist.train import main, make_trainer, train
from tflite_sparse.masks import MaskSet

IMAGES = 4 * data.BATCH


@pytest.fixture
def few(monkeypatch):
    """A handful of pictures to train on and to test with."""

    whole = data.load

    def load(split):
        images, labels = whole(split)
        return images[:IMAGES], labels[:IMAGES]

    monkeypatch.setattr(data, "load", load)


def log(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [{**line, "seconds": None} for line in csv.DictReader(file)]


def test_the_pictures():
    images, labels = data.load("t10k")
    assert images.shape == (10_000, 28, 28)
    assert np.bincount(labels).tolist() == [1000] * 10
    values = data.normalized(data.load("train")[0])
    assert values.shape == (60_000, 28, 28, 1)
    assert abs(values.mean()) < 1e-3
    assert abs(values.std() - 1) < 1e-3
    half = data.resized(images[:3], 14)
    expected = images[:3].reshape(3, 14, 2, 14, 2).mean((2, 4))
    assert np.abs(half - expected).max() <= 1  # rounded twice


def test_no_pictures(monkeypatch, tmp_path):
    monkeypatch.setenv("FASHION_MNIST", str(tmp_path))
    with pytest.raises(SystemExit, match=r"t10k-images.*dataset-fashion-mnist.*FASHION_MNIST"):
        data.load("t10k")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match=r"t10k-images.*cannot be read"):
        data.load("t10k")


def test_batches_are_pictures_moved_and_mirrored():
    images = data.normalized(data.load("t10k")[0][: 2 * data.BATCH])
    labels = np.arange(2 * data.BATCH)
    batches = list(data.batches(images, labels, 3, 5))
    again = list(data.batches(images, labels, 3, 5))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(batches, again))
    assert sorted(np.concatenate([batch[1] for batch in batches])) == labels.tolist()
    border = np.pad(images[..., 0], ((0, 0), (2, 2), (2, 2)), constant_values=images.min())
    for pictures, chosen in batches:
        for picture, index in zip(pictures[:8, ..., 0], chosen):
            moved = [
                border[index, y : y + 28, x : x + 28][:, ::way]
                for y in range(5)
                for x in range(5)
                for way in (1, -1)
            ]
            assert any(np.array_equal(picture, one) for one in moved)


def test_names_of_runs_are_unique():
    runs = [run for network in NETWORKS for group in GROUPS.values() for run in group(network)]
    assert len({run.name for run in runs}) == len(runs)


@pytest.mark.parametrize("network", ["resnet", "resnet-keras"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(network, few, tmp_path, monkeypatch):
    run = Run(network, 0.3, width=8, size=20)
    whole = train(run, 3, tmp_path / "whole", "cpu")

    trainer = type(make_trainer(run, 3, "cpu"))
    real = trainer.epoch

    def stopped(self, number):
        if number == 2:
            raise KeyboardInterrupt
        return real(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(run, 3, tmp_path / "stopped", "cpu")
    assert not (tmp_path / "stopped/result.json").exists()
    resumed = train(run, 3, tmp_path / "stopped", "cpu")
    assert resumed["correct"] == whole["correct"]
    assert log(tmp_path / "stopped") == log(tmp_path / "whole")
    masks = [MaskSet.load(tmp_path / name / "masks.npz") for name in ("whole", "stopped")]
    assert all(np.array_equal(mask, masks[1][name]) for name, mask in masks[0].items())
    # Done is done, and another run does not go into its folder.
    assert train(run, 3, tmp_path / "whole", "cpu") == whole
    with pytest.raises(SystemExit, match=r"other settings.*--out"):
        train(run, 4, tmp_path / "whole", "cpu")


@pytest.mark.parametrize("option", ["--epochs", "--workers"])
def test_none_is_no_number_of_epochs_or_workers(option, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train", option, "0"])
    with pytest.raises(SystemExit):
        main()
    assert f"{option}: expected a whole number from 1, found 0" in capsys.readouterr().err.replace(
        "/-j", ""
    )


def test_a_report(few, tmp_path, monkeypatch):
    for run in (
        Run(name, sparsity) for name in ("resnet", "resnet-keras") for sparsity in (0, 0.5)
    ):
        train(run, 1, tmp_path / "runs" / run.name, "cpu")
    options = f"report --runs {tmp_path}/runs --out {tmp_path}/out --seconds 0.1"
    monkeypatch.setattr("sys.argv", options.split())
    report.main()
    lines = json.loads((tmp_path / "out/table.json").read_text())["lines"]
    assert [line["variant"] for line in lines] == ["dense", "s50"] * 2
    assert lines[1]["timings"].keys() == {"stock", "insert", "compact"}
    assert lines[0]["timings"]["stock"]["speed_up"]["value"] == 1
    for line in lines:
        for seed, counts in line["deployed"].items():
            assert set(counts) == set(deploy.MODES)
            assert set(counts.values()) == {line["correct"][seed]}
    assert "s50" in (tmp_path / "out/table.md").read_text()
    assert (tmp_path / "out/pareto.png").read_bytes().startswith(b"\x89PNG")

    with pytest.raises(SystemExit, match="no finished run"):
        report.collect(tmp_path / "out", 0.1)


@pytest.mark.parametrize("folder", demo.NETWORKS.values(), ids=lambda folder: folder.name)
def test_the_committed_runs(folder, tmp_path):
    """Every mode names as many of the test pictures rightly as the trainer did."""
    content = deploy.convert(folder)
    run = deploy.read_run(folder)
    for mode in deploy.MODES if run.sparsity else demo.MODES:
        deploy.check_count(folder, mode, deploy.count_correct(content, mode, run.size))
    with pytest.raises(SystemExit, match=r"3 of the test pictures.*trainer's \d+"):
        deploy.check_count(folder, "compact", 3)


def test_the_committed_runs_are_small():
    files = [path for path in demo.TRAINED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    assert not Path(demo.TRAINED, "checkpoint").exists()
