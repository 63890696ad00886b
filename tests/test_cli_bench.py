"""`tflite-sparse bench` and `run` as a user starts them. No test looks at how long anything took."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.runtime.models import content
from tflite_sparse.cli import main
from tflite_sparse.measure import rounds, variants
from tools.fetch_models import fetched
from tools.make_models import made

MASKED = "face_landmark_fp32-s50"
DENSE = "face_landmark_fp32"
QUICK = ("--rounds", "2", "--warmup", "0", "--skip-zeros", "auto")


def cli(*arguments):
    """Exit code, standard output and standard error of the command."""
    command = [sys.executable, "-m", "tflite_sparse", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def refused(capsys, *arguments):
    """The one line that refuses these arguments."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's own
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    lines = [
        line for line in err.splitlines() if line.startswith("tflite-sparse") and " ..." not in line
    ]
    assert len(lines) == 1
    assert "Traceback" not in err
    return lines[0]


def test_json_alone_on_standard_output():
    code, out, err = cli("bench", made(MASKED), *QUICK, "--json", "--profile")
    assert code == 0, err
    record = json.loads(out)
    (result,) = record["results"]
    assert [row["name"] for row in result["variants"]] == ["compact", "insert", "off", "stock"]
    assert 0.4 < result["mac_sparsity"] < 0.5
    assert result["ideal_speed_up"] == pytest.approx(1 / (1 - result["mac_sparsity"]))
    assert result["rounds"] == 2
    for row in result["variants"]:
        latency, ratio = row["latency"], row["speed_up"]
        assert latency["p10"] <= latency["median"] <= latency["p90"]
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
        assert row["cold"]["load_ms"] > 0
        assert row["cold"]["first_ms"] > 0
        assert row["max_error"] < 1e-3
    stock = result["variants"][-1]
    assert stock["speed_up"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert result["profile"]["ops"]
    assert len(result["report"]["layers"]) == 43
    for part in ("cpu", "cores", "kernel", "python", "delegate", "runtime"):
        assert record["machine"][part]
    assert "load" in record["before"]


def test_sweep_with_table_csv_and_plot(tmp_path):
    code, out, err = cli(
        "bench", fetched(DENSE), *QUICK, "--no-cold", "--sweep", "0,0.3", "--mode",
        "compact", "--csv", tmp_path / "t.csv", "--plot", tmp_path / "t.png"
    )  # fmt: skip
    assert code == 0, err
    assert f"{fetched(DENSE)}, sparsity 30%, 1 thread" in out
    assert re.search(r"\d\d of 43 masked layers skip", out)
    assert "reference: the model without masks on stock" in out
    with open(tmp_path / "t.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sparsity"], row["variant"]) for row in rows] == [
        ("0.0", "compact"),
        ("0.0", "stock"),
        ("0.3", "compact"),
        ("0.3", "stock"),
        ("0.3", "reference"),
    ]
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert "\x1b" not in out + err


def test_against_a_file_and_two_numbers_of_threads():
    code, out, err = cli(
        "bench", made(MASKED), *QUICK, "--no-cold", "--against", fetched(DENSE), "--threads", "1,2",
        "--json"
    )  # fmt: skip
    assert code == 0, err
    results = json.loads(out)["results"]
    assert [result["threads"] for result in results] == [1, 2]
    assert results[0]["variants"][-1]["name"] == "reference"
    assert results[0]["reference"] == str(fetched(DENSE))
    assert [result["report"]["num_threads"] for result in results] == [1, 2]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    photo = Image.open(fetched("astronaut"))
    for index in range(3):
        photo.crop((0, 0, 200 + 50 * index, 300)).save(folder / f"{index}.png")
    return folder


def test_several_pictures_take_turns(pictures, capsys, monkeypatch):
    seen = []
    set_inputs = variants.set_inputs
    monkeypatch.setattr(
        rounds, "set_inputs", lambda v, x: (seen.append((v.name, x[0].sum())), set_inputs(v, x))
    )
    arguments = ["bench", str(made(MASKED)), *QUICK, "--no-cold", "--mode", "compact"]
    assert main([*arguments, "--input", str(pictures), "--range", "-1,1", "--json"]) == 0
    out, err = capsys.readouterr()
    (result,) = json.loads(out)["results"]
    assert (result["input"], result["samples"], result["rounds"]) == (str(pictures), 3, 6)
    assert [row["latency"]["samples"] for row in result["variants"]] == [3, 3]
    assert "random numbers" not in err
    # Both variants run on the same picture in each round: two rounds of each of three.
    turns = seen[-12:]
    for first, second in zip(turns[::2], turns[1::2]):
        assert {first[0], second[0]} == {"compact", "stock"}
        assert first[1] == second[1]
    sums = [turn[1] for turn in turns[::2]]
    assert sums[:3] == sums[3:]
    assert len(set(sums)) == 3


def test_random_numbers_are_a_warning(capsys):
    arguments = ["bench", str(made(MASKED)), *QUICK, "--no-cold", "--mode", "compact"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "input: random numbers (seed 0), 1 sample" in out
    assert "warning: " in err
    assert "give one with --input" in err


def test_wrong_outputs_on_any_picture_are_found(pictures, capsys, monkeypatch):
    right, last = variants.Variant.outputs, []

    def wrong(variant):
        values = right(variant)
        if variant.name == "compact":
            last.append(1)
            if len(last) == 3:
                values[0] = values[0] + 1
        return values

    monkeypatch.setattr(variants.Variant, "outputs", wrong)
    arguments = ["bench", str(made(MASKED)), *QUICK, "--no-cold", "--input", str(pictures)]
    assert main(arguments) == 1
    assert "mode=compact gives other outputs" in capsys.readouterr().err


def test_under_litert_compiled_model_beside_its_own():
    code, out, err = cli(
        "bench", made(MASKED), made("face_landmark_int8-s50"), *QUICK, "--json", "--profile",
        "--runtime", "litert-compiled"
    )  # fmt: skip
    assert code == 0, err
    record = json.loads(out)
    assert record["machine"]["runtime"].startswith("litert-compiled 2.")
    for result in record["results"]:
        names = [row["name"] for row in result["variants"]]
        assert names == ["compact", "insert", "off", "stock"]
        assert all(row["cold"]["memory_mb"] > 0 for row in result["variants"])
        assert result["profile"]["ops"]
        report = result["report"]
        assert (len(report["layers"]), report["left"]) == (43, [])
        assert report["nodes_taken"] == report["nodes_total"]


def test_modes_with_and_without_skipping_zeros_side_by_side(capsys):
    arguments = ["bench", str(made(MASKED)), *QUICK[:4], "--no-cold", "--mode", "compact,off"]
    assert main([*arguments, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    names = [row["name"] for row in result["variants"]]
    assert names == ["compact", "compact never", "off", "off never", "stock"]
    assert result["report"]["skip_zeros"] == "auto"
    assert main([*arguments, "--against", "off", "--skip-zeros", "always,never", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    ratios = {row["name"]: row["speed_up"]["value"] for row in result["variants"]}
    assert ratios["off never"] == 1.0
    assert "compact always" in ratios
    # The report is that of the first variant, after it has run.
    assert {row["form"] for row in result["report"]["zero_layers"]} >= {"zeros"}
    assert any(row["zeros"] is not None for row in result["report"]["zero_layers"])


def test_model_without_masks_has_one_mode(capsys):
    """Its zeros can be skipped all the same."""
    assert main(["bench", str(fetched(DENSE)), *QUICK[:4], "--no-cold"]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^(\w+(?: never)?) +\d", out, re.MULTILINE) == [
        "compact",
        "compact never",
        "stock",
    ]
    assert re.search(r"zeros skipped in \d+ of \d+ layers", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "from 1 to 1024"),
        (["--threads", "10000"], "from 1 to 1024"),
        (["--threads", "one"], "from 1 to 1024, found one"),
        (["--sweep", "0,1"], "below 1"),
        (["--mode", "fast"], "compact, insert, off"),
        (["--cpu", "999"], "cpu 999 is not there"),
        (["--cpu", "x"], "expected cpus like 0,2-3, found x"),
        (["--cpu", "3-1"], "expected cpus like 0,2-3, found 3-1"),
        (["--rounds", "0"], "at least 1"),
        (["--seconds", "0"], "positive"),
        (["--against", "nothing.tflite"], "nothing.tflite"),
        (["--input", "nothing.npy"], "nothing.npy"),
        (["--runtime", "onnx"], "invalid choice"),
        (["--plot", "speedup.pdf"], "expected a name ending in .png, found speedup.pdf"),
        (["--plot", "nothing/speedup.png"], "expected nothing to be a folder"),
        (["--csv", "nothing/rows.csv"], "expected nothing to be a folder"),
    ],
)
def test_bad_option(capsys, arguments, message):
    assert message in refused(capsys, "bench", made(MASKED), *arguments)


def test_input_of_wrong_shape_and_type(capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 192, 192, 4), np.float32))
    arguments = ("bench", made(MASKED), *QUICK, "--input", tmp_path / "x.npy")
    assert "[1, 192, 192, 4]" in refused(capsys, *arguments)
    np.save(tmp_path / "x.npy", np.zeros((1, 192, 192, 3), np.int8))
    assert "int8" in refused(capsys, *arguments)


def test_emulation_is_refused_after_verifying(capsys, monkeypatch):
    monkeypatch.setattr("tflite_sparse.measure.environment.emulation", lambda: "qemu-test")
    assert main(["bench", str(made(MASKED)), *QUICK]) == 1
    out, err = capsys.readouterr()
    assert "emulation (qemu-test)" in err
    assert "median" not in out


def test_wrong_outputs_are_found_before_timing(capsys, monkeypatch):
    from tflite_sparse.measure.variants import Variant

    right = Variant.outputs

    def wrong(variant):
        values = right(variant)
        if variant.name == "compact":
            values[0] = values[0] + 1e-2 * np.abs(values[0]).max()
        return values

    monkeypatch.setattr(Variant, "outputs", wrong)
    assert main(["bench", str(made(MASKED)), *QUICK]) == 1
    out, err = capsys.readouterr()
    assert "mode=compact gives other outputs" in err
    assert "median" not in out


def test_interrupted_leaves_no_half_file(tmp_path):
    command = [sys.executable, "-m", "tflite_sparse", "bench", str(made(MASKED)), "--seconds", "60",
               "--csv", str(tmp_path / "t.csv")]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background with the signal ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert any("..." in line for line in process.stderr), "it ended before measuring began"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_run_on_a_photo(tmp_path):
    code, out, err = cli(
        "run", fetched("iris_landmark_fp32"), "--input", fetched("astronaut"), "--report",
        "--output", tmp_path / "out.npz"
    )  # fmt: skip
    assert code == 0, err
    assert "output_iris" in out
    assert "169 of 169" in out
    saved = np.load(tmp_path / "out.npz")
    assert saved["output_iris"].shape == (1, 15)


def test_run_gives_the_interpreters_numbers(tmp_path):
    import tflite_sparse as ts

    image = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    np.save(tmp_path / "x.npy", image)
    code, _, err = cli(
        "run", fetched("iris_landmark_fp32"), "--input", tmp_path / "x.npy",
        "--output", tmp_path / "out.npz"
    )  # fmt: skip
    assert code == 0, err
    interpreter = ts.Interpreter(model_content=content("iris_landmark_fp32"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    for detail in interpreter.get_output_details():
        np.testing.assert_array_equal(
            np.load(tmp_path / "out.npz")[detail["name"]], interpreter.get_tensor(detail["index"])
        )


def test_run_maps_the_picture_to_a_range_that_may_be_negative(tmp_path):
    outputs = []
    for arguments in (["--range", "-1,1"], ["--mean", "0.5,0.5,0.5", "--std", "0.5"], []):
        path = tmp_path / f"{len(outputs)}.npz"
        code, _, err = cli("run", fetched("iris_landmark_fp32"), "--input", fetched("astronaut"),
                           *arguments, "--output", path)  # fmt: skip
        assert code == 0, err
        outputs.append(np.load(path)["output_iris"])
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4)
    assert not np.allclose(outputs[0], outputs[2], rtol=1e-2)


def test_run_quantises_the_input_of_an_int8_model(tmp_path):
    results = []
    for model in (fetched("iris_landmark_fp32"), made("iris_landmark_int8")):
        path = tmp_path / f"{model.stem}.npz"
        code, _, err = cli("run", model, "--input", fetched("astronaut"), "--output", path)
        assert code == 0, err
        results.append(np.load(path)["output_eyes_contours_and_brows"])
    # Landmarks in pixels of a 64 x 64 picture; 8 bits are good for a few of them.
    assert np.abs(results[0] - results[1]).max() < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topk", "0"], "at least 1"),
        (["--range", "1,1"], "two different numbers"),
        (["--range", "1"], "LOW,HIGH"),
        (["--labels", __file__], "one output of a score per class"),
        (["--range", "low"], "expected numbers with commas between, found low"),
        (["--mean", "1,2"], "1 or 3 numbers"),
        (["--std", "0"], "other than 0"),
        (["--threads", "10000"], "num_threads"),
        (["--mode", "fast"], "compact"),
        (["--output", "x.txt"], ".npy or .npz"),
        (["--output", "x.npy"], "2 outputs"),
        (["--masks", "missing.npz"], "missing.npz"),
    ],
)
def test_run_with_bad_option(capsys, arguments, message):
    photo = fetched("astronaut")
    model = fetched("iris_landmark_fp32")
    assert message in refused(capsys, "run", model, "--input", photo, *arguments)


def test_run_with_bad_input(capsys, tmp_path):
    model = fetched("iris_landmark_fp32")
    np.save(tmp_path / "x.npy", np.zeros((1, 64, 64, 1), np.float32))
    assert "[1, 64, 64, 3]" in refused(capsys, "run", model, "--input", tmp_path / "x.npy")


def test_exit_codes_are_documented(capsys):
    for command in ("bench", "run"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert "exit codes" in out
        assert "examples:" in out
