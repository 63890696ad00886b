"""Any file that a command is given may be missing, a folder, or of another kind: one line names it."""

import json
import re

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from tests.convert.small_models import SmallModel
from tests.runtime.models import content
from tflite_sparse.cli import main
from tflite_sparse.cli.json_output import print_json
from tools.fetch_models import fetched
from tools.make_models import made

MODEL = "iris_landmark_fp32"
MASKED = "face_landmark_fp32-s50"


def archive(at):
    with open(at, "wb") as file:
        np.savez(file, x=np.zeros((1, 64, 64, 3), np.float32))


# What may be handed in by mistake, and how to make it.
WRONG = {
    "missing": lambda at: None,
    "folder": lambda at: at.mkdir(),
    "empty": lambda at: at.touch(),
    "text": lambda at: at.write_bytes("grüß".encode("latin-1")),
    "archive": archive,
    "cut model": lambda at: at.write_bytes(content(MODEL)[:5000]),
    "cut picture": lambda at: at.write_bytes(fetched("astronaut").read_bytes()[:5000]),
    "cut array": lambda at: at.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'"),
}


def bench(model, *arguments):
    return "bench", model, "--rounds", "1", "--warmup", "0", "--no-cold", *arguments


def run(model, *arguments):
    return "run", model, "--input", fetched("astronaut"), *arguments


def inspect(model, *arguments):
    return "inspect", model, "--png", "out", *arguments


def convert(model, *arguments):
    return "convert", model, "-o", "out", *arguments


def sweep(model):
    return bench(model, "--sweep", "0.3")


def mask(model):
    return "mask", model, "--sparsity", "0.3", "-o", "out"


def sidecar():
    return made(MASKED).with_suffix(".masks.npz")


# Each place where a command is given a file: the ending of its name, and the command.
PLACES = {
    "bench MODEL": (".tflite", bench),
    "bench MODEL --sweep": (".tflite", sweep),
    "bench --against": (".tflite", lambda bad: bench(made(MASKED), "--against", bad)),
    "bench --input": (".npy", lambda bad: bench(made(MASKED), "--input", bad)),
    "run MODEL": (".tflite", run),
    "run MODEL --masks": (".tflite", lambda bad: run(bad, "--masks", sidecar())),
    "run --masks": (".npz", lambda bad: run(fetched(MODEL), "--masks", bad)),
    "run --input array": (".npy", lambda bad: ("run", fetched(MODEL), "--input", bad)),
    "run --input picture": (".png", lambda bad: ("run", fetched(MODEL), "--input", bad)),
    "inspect MODEL": (".tflite", inspect),
    "inspect MODEL --masks": (".tflite", lambda bad: inspect(bad, "--masks", sidecar())),
    "inspect --masks": (".npz", lambda bad: inspect(fetched(MODEL), "--masks", bad)),
    "inspect --masks header": (".h", lambda bad: inspect(fetched(MODEL), "--masks", bad)),
    "inspect --image": (".png", lambda bad: inspect(fetched(MODEL), "--image", bad)),
    "mask MODEL": (".tflite", mask),
    "convert MODEL": (".tflite", lambda bad: convert(bad, "--masks", sidecar())),
    "convert --masks": (".npz", lambda bad: convert(fetched(MODEL), "--masks", bad)),
    "convert MODEL.keras": (".keras", convert),
    "convert MODEL.h5": (".h5", convert),
    "convert --representative-data": (
        ".npy",
        lambda bad: convert("good.keras", "--quantize", "int8", "--representative-data", bad),
    ),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, arguments):
    """The last line on standard error of a command that must end with code 2 and write nothing."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("tflite-sparse: ")
    return last


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("place", PLACES)
def test_wrong_file_is_named(place, kind, tmp_path, capsys):
    suffix, command = PLACES[place]
    bad = tmp_path / f"{kind}{suffix}"
    WRONG[kind](bad)
    if "--representative-data" in place:
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]).save("good.keras")
    message = refused(capsys, command(bad))
    assert str(bad) in message
    assert not re.search(r"tflite-sparse: \[|<_io|model_content|the model:", message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [kind for kind in WRONG if kind != "empty"])
def test_wrong_labels_are_named(kind, tmp_path, capsys):
    bad = tmp_path / kind
    WRONG[kind](bad)
    assert str(bad) in refused(capsys, run(fetched(MODEL), "--labels", bad))


@pytest.mark.parametrize("command", [bench, run])
def test_model_that_the_interpreter_refuses_is_named(command, capsys):
    """It is whole, but has an operation that nobody knows."""
    model = fetched("face_landmark_with_attention")
    message = refused(capsys, command(model))
    assert f"{model}: the interpreter refuses the model" in message
    assert "Landmarks2TransformMatrix" in message


@pytest.mark.parametrize("command", [mask, sweep])
def test_model_without_an_image_needs_the_size_of_the_score_map(command, tmp_path, capsys):
    model = SmallModel()
    options = fb.ReshapeOptionsT()
    options.newShape = [1, 6, 8, 1]
    image = model.op("RESHAPE", [model.input([1, 48])], options.newShape, "image", options)
    model.output(model.conv(model.conv(image, 4, "conv1"), 4, "conv2"))
    (tmp_path / "vector.tflite").write_bytes(model.content())
    assert "vector.tflite has no input [N, H, W, C]" in refused(capsys, command("vector.tflite"))
    with_size = [str(part) for part in command("vector.tflite")] + ["--input-size", "6,8"]
    assert main(with_size) == 0
    with pytest.raises(SystemExit, match="2"):
        main([*with_size[:-1], "6"])
    assert "expected a height and width" in capsys.readouterr().err


def test_failing_operations_are_one_line(tmp_path, capsys):
    """An index that only the input makes wrong: the interpreter finds out while it runs."""
    model = SmallModel()
    index = model.input([1], "index", dtype="INT32")
    table = model.tensor([3, 4], "table", data=np.zeros((3, 4), np.float32))
    model.output(model.op("GATHER", [table, index], [1, 4], "row", fb.GatherOptionsT()))
    (tmp_path / "gather.tflite").write_bytes(model.content())
    np.save("x.npy", np.array([7], np.int32))
    for command in (
        ["run", "gather.tflite", "--input", "x.npy"],
        bench("gather.tflite", "--sweep", "0", "--input", "x.npy"),
    ):
        assert main([str(part) for part in command]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("tflite-sparse: ")
        assert "the inference failed" in last


def test_lists_have_commas_and_json_is_json(tmp_path, capsys):
    model = str(fetched(MODEL))
    arguments = ["mask", model, "--sparsity", "0.5", "-o", "m.npz", "--json"]
    names = {}
    for kinds in ("conv", "depthwise", "conv,depthwise"):
        assert main([*arguments, "--kinds", kinds]) == 0
        names[kinds] = json.loads(capsys.readouterr().out)["layers"]
    assert names["conv"] + names["depthwise"] == names["conv,depthwise"]
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--kinds", "conv,"])
    print_json({"a": float("nan"), "b": [1.5, float("inf")]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None]}
