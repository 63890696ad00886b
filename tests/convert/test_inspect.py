"""inspect_model and the commands mask, convert and inspect."""

import copy
import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb
from PIL import Image
from small_models import SmallModel, chain

import tflite_sparse as ts
from tflite_sparse import MaskSet, apply_masks
from tflite_sparse.cli import main
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.graph import ModelFile, View, fingerprint
from tflite_sparse.graph.masks import mask_multiply
from tflite_sparse.inspection import inspect_model

MASK = np.random.default_rng(1).random((6, 8)) < 0.6


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(chain().content())
    return path


@pytest.fixture
def sidecar(tmp_path, model):
    path = tmp_path / "model.masks.npz"
    assert main(["mask", str(model), "--sparsity", "0.5", "-o", str(path)]) == 0
    return path


def layer_of(content, name):
    return next(layer for layer in inspect_model(content).layers if layer.name == name)


def test_figures_of_a_layer():
    layer = layer_of(apply_masks(chain().content(), {"conv1": MASK}), "conv1")
    kept = int(MASK.sum())
    assert (layer.kind, layer.shape, layer.kernel) == ("conv", (1, 6, 8, 4), (3, 3))
    assert (layer.kept, layer.total, layer.skips, layer.reason) == (kept, 48, True, "")
    assert layer.macs_dense == 48 * 4 * 3 * 3 * 4
    assert layer.macs_kept == kept * 4 * 3 * 3 * 4
    assert layer.sparsity == pytest.approx(1 - kept / 48)


def test_totals():
    totals = inspect_model(apply_masks(chain().content(), {"conv1": MASK})).totals
    dense, small, kept = 48 * 144, 48 * 16, int(MASK.sum()) * 144
    assert (totals.layers, totals.masked, totals.skipping) == (2, 1, 1)
    assert totals.macs_dense == dense + small
    assert totals.ideal_speed_up == pytest.approx((dense + small) / (kept + small))


def test_depthwise_figures():
    model = SmallModel()
    model.output(model.depthwise(model.input([1, 6, 8, 4]), "dw"))
    layer = layer_of(model.content(), "dw")
    assert (layer.kind, layer.kernel, layer.macs_dense) == ("depthwise", (3, 3), 48 * 4 * 9)
    assert not layer.masked


def behind_two_readers():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv")
    mask = model.tensor([1, 6, 8, 1], "mask", data=MASK.astype(np.float32))
    model.output(model.add(model.mul(y, mask, "masked"), y, "sum"))
    return model.content()


def behind_the_input():
    model = SmallModel()
    mask = model.tensor([1, 6, 8, 1], "mask", data=MASK.astype(np.float32))
    model.output(model.mul(model.input([1, 6, 8, 4]), mask, "masked"))
    return model.content()


def requantised():
    model = SmallModel("INT8")
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv", scale=0.09)
    mask = model.tensor([1, 6, 8, 1], "mask", data=MASK.astype(np.int8), scale=1.0)
    model.output(model.mul(y, mask, "masked", scale=0.08))
    return model.content()


def int16():
    return apply_masks(chain("INT16").content(), {"conv1": MASK})


def dynamic_range():
    return apply_masks(chain(weights="INT8").content(), {"conv1": MASK})


def average_pooling():
    model = SmallModel()
    options = fb.Pool2DOptionsT()
    options.strideH = options.strideW = 1
    options.filterHeight = options.filterWidth = 3
    x = model.input([1, 6, 8, 4])
    model.output(model.op("AVERAGE_POOL_2D", [x], [1, 6, 8, 4], "pool", options))
    return apply_masks(model.content(), {"pool": MASK})


def transposed():
    model = SmallModel()
    options = fb.TransposeConvOptionsT()
    options.strideH = options.strideW = 1
    size = model.tensor([4], "size", "INT32", np.array([1, 6, 8, 4], np.int32))
    weights = np.ones((4, 3, 3, 2), np.float32)
    kernel = model.tensor(weights.shape, "kernel", data=weights)
    inputs = [size, kernel, model.input([1, 6, 8, 2])]
    model.output(model.op("TRANSPOSE_CONV", inputs, [1, 6, 8, 4], "up", options))
    return apply_masks(model.content(), {"up": MASK})


def all_kept():
    return apply_masks(chain().content(), {"conv1": np.ones((6, 8))})


def none_kept():
    return apply_masks(chain().content(), {"conv1": np.zeros((6, 8))})


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (behind_two_readers, "masked", "is also read unmasked"),
        (behind_the_input, "masked", "an input of the model"),
        (requantised, "masked", "the multiply requantises"),
        (int16, "conv1", "type INT16"),
        (dynamic_range, "conv1", "dynamic-range"),
        (average_pooling, "pool", "Average Pooling 2D, which computes every pixel"),
        (transposed, "up", "Deconvolution 2D, which computes every pixel"),
        (all_kept, "conv1", "keeps every pixel"),
        (none_kept, "conv1", "keeps no pixel"),
    ],
)
def test_why_the_engine_does_not_take_a_mask(content, name, reason):
    layer = layer_of(content(), name)
    assert layer.masked
    assert not layer.skips
    assert reason in layer.reason
    assert layer.macs_kept == layer.macs_dense


def masked_chain(count):
    """Convolutions one after the other, each with a mask; one that reads another's constant."""
    model = SmallModel()
    x = model.input([1, 4, 4, 2])
    for index in range(count):
        x = model.conv(x, 2, f"conv{index}", kernel=1)
    model.output(x)
    masks = {f"conv{index}": np.arange(16).reshape(4, 4) % 3 > index % 2 for index in range(count)}
    return apply_masks(model.content(), masks)


def test_work_grows_with_the_layers(monkeypatch):
    """Not with their square: what is looked up per layer is counted."""
    calls = []
    resolve = View.op_kind
    monkeypatch.setattr(View, "op_kind", lambda *a: (calls.append(1), resolve(*a))[1])
    counts = []
    for layers in (10, 20):
        content = masked_chain(layers)
        del calls[:]
        inspect_model(content)
        counts.append(len(calls))
    assert counts[1] < 2.2 * counts[0]


def repeated_over_channels():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv")
    values = np.repeat(MASK.astype(np.float32)[None, :, :, None], 4, axis=3)
    model.output(model.mul(y, model.tensor([1, 6, 8, 4], "mask", data=values), "masked"))
    return model.content()


def test_a_mask_repeated_over_channels_is_one_after_conversion_only():
    """The engine reads one channel; converters' other forms are brought into that one."""
    content = repeated_over_channels()
    assert ts.Interpreter(model_content=content).sparsity_report().layers == ()
    assert inspect_model(content).totals.masked == 0
    file = ModelFile.read(content)
    assert make_masks_exact(file) == 1
    assert layer_of(file.to_bytes(), "masked").mask.tolist() == MASK.tolist()


def test_what_the_engine_sees_and_cannot_use_is_listed():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv")
    half = np.full((1, 6, 8, 1), 0.5, np.float32)
    model.output(model.mul(y, model.tensor(half.shape, "mask", data=half), "masked"))
    layer = layer_of(model.content(), "masked")
    assert (layer.masked, layer.skips, layer.mask) == (True, False, None)
    assert "holds 0.5 at pixel" in layer.reason


def test_a_model_that_no_interpreter_takes_is_inspected_all_the_same():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    model.output(y)
    content = bytearray(apply_masks(model.content(), {"conv1": MASK}))
    file = ModelFile.read(bytes(content))
    code = file.model.operatorCodes[0]
    graph = file.model.subgraphs[0]
    custom = copy.deepcopy(code)
    custom.builtinCode, custom.deprecatedBuiltinCode = (
        fb.BuiltinOperator.CUSTOM,
        fb.BuiltinOperator.CUSTOM,
    )
    custom.customCode = b"Unheard"
    file.model.operatorCodes.append(custom)
    last = copy.deepcopy(graph.operators[-1])
    last.opcodeIndex, last.inputs, last.builtinOptions = 2, [graph.outputs[0]], None
    last.builtinOptionsType = 0
    graph.tensors.append(copy.deepcopy(graph.tensors[graph.outputs[0]]))
    graph.tensors[-1].name = b"unheard"
    last.outputs = graph.outputs = [len(graph.tensors) - 1]
    graph.operators.append(last)
    inspection = inspect_model(file.to_bytes())
    assert "Unheard" in inspection.engine
    assert (inspection.totals.masked, inspection.totals.skipping) == (1, 0)
    assert inspection.totals.ideal_speed_up == pytest.approx(48 / MASK.sum())
    assert "the engine could not be asked" in str(inspection)


def test_a_chain_of_dequantize_is_followed():
    model = SmallModel()
    x = model.input([1, 6, 8, 4])
    mask = model.tensor([1, 6, 8, 1], "mask0", data=MASK.astype(np.float32))
    for index in range(2000):
        mask = model.op("DEQUANTIZE", [mask], [1, 6, 8, 1], f"mask{index + 1}")
    model.output(model.mul(model.conv(x, 4, "conv"), mask, "masked"))
    file = ModelFile.read(model.content())
    view = View(file, 0)
    found = mask_multiply(view, len(view.ops) - 1)
    assert found.mask.tolist() == MASK.tolist()
    assert len(fingerprint(file)) == 32


@pytest.mark.parametrize(
    "content",
    [
        behind_two_readers,
        behind_the_input,
        requantised,
        int16,
        dynamic_range,
        average_pooling,
        transposed,
        all_kept,
        none_kept,
    ],
)
def test_the_engine_agrees_that_it_does_not_take_it(content):
    interpreter = ts.Interpreter(model_content=content())
    interpreter.allocate_tensors()
    assert all(layer.form == "dense" for layer in interpreter.sparsity_report().layers)


def test_mask_then_convert_then_inspect(model, sidecar, tmp_path, capsys):
    out = tmp_path / "sparse.tflite"
    assert main(["convert", str(model), "--masks", str(sidecar), "-o", str(out)]) == 0
    report = ts.Interpreter(str(out)).sparsity_report()
    skipped = sum(layer.accelerated for layer in report.layers)
    assert f"2 masks, {skipped} of them skipped by the engine" in capsys.readouterr().out
    assert main(["inspect", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["totals"]["masked"] == 2
    assert [layer["sparsity"] for layer in found["layers"]] == [0.5, 0.5, 0.0]
    assert main(["inspect", str(model), "--masks", str(sidecar), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == found["layers"]


def test_inspect_prints_a_table(model, capsys):
    assert main(["inspect", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *("layer", "kind", "output", "kernel", "sparsity", "MMACs", "kept", "engine")
    ]
    assert lines[2].startswith("conv1")
    assert "ideal speed-up 1.00x" in lines[-1]


def test_mask_chooses_layers_and_records_what_it_did(model, tmp_path, capsys):
    path = tmp_path / "m.npz"
    arguments = ["mask", str(model), "--sparsity", "0.25", "--seed", "3", "--layers", "*2"]
    assert main([*arguments, "--json", "-o", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == 1
    masks = MaskSet.load(path)
    assert (list(masks), masks.seed, masks.target_sparsity) == (["conv2"], 3, 0.25)
    assert masks.kept("conv2") == 36


def test_pictures_of_the_masks_and_of_an_image_through_them(model, sidecar, tmp_path, capsys):
    image = tmp_path / "red.png"
    Image.new("RGB", (16, 12), (200, 10, 10)).save(image)
    arguments = ["inspect", str(model), "--masks", str(sidecar)]
    assert main([*arguments, "--png", str(tmp_path / "plain")]) == 0
    assert main([*arguments, "--png", str(tmp_path / "seen"), "--image", str(image)]) == 0
    mask = MaskSet.load(sidecar)["conv1"]
    plain = np.asarray(Image.open(tmp_path / "plain" / "000-conv1.png"))
    assert np.array_equal(plain[:, :, 0] == 255, mask)
    seen = np.asarray(Image.open(tmp_path / "seen" / "000-conv1.png"))
    assert np.array_equal(seen[:, :, 0] == 200, mask)
    assert not seen[~mask].any()


def test_errors_are_one_line_and_leave_the_output_alone(model, sidecar, tmp_path, capsys):
    out = tmp_path / "out.tflite"
    out.write_bytes(b"precious")
    other = tmp_path / "other.tflite"
    other.write_bytes(another_model())
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:200])
    for arguments, text in (
        (["convert", str(other), "--masks", str(sidecar), "-o", str(out)], "another model"),
        (["convert", str(broken), "--masks", str(sidecar), "-o", str(out)], "damaged"),
        (["convert", str(model), "--masks", str(model), "-o", str(out)], "not a sidecar"),
        (["convert", str(model), "-o", str(out)], "needs --masks"),
        (["convert", str(tmp_path / "none"), "--masks", str(sidecar), "-o", str(out)], "none"),
        (["inspect", str(broken)], "damaged"),
        (["inspect", str(model), "--image", str(out)], "--png"),
        (
            ["inspect", str(model), "--png", str(tmp_path / "p"), "--image", str(out)],
            "expected a picture",
        ),
        (["mask", str(model), "--sparsity", "1.5", "-o", str(out)], "found 1.5"),
        (["mask", str(model), "--sparsity", "0.5", "--layers", "x", "-o", str(out)], "matches 'x'"),
    ):
        assert main(arguments) == 2, arguments
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert text in error
    assert out.read_bytes() == b"precious"


def another_model():
    model = SmallModel(seed=9)
    model.output(model.conv(model.input([1, 6, 8, 4]), 4, "conv1"))
    return model.content()


def test_an_unwritable_output_is_one_line(model, sidecar, tmp_path, capsys):
    out = tmp_path / "no such folder" / "out.tflite"
    assert main(["convert", str(model), "--masks", str(sidecar), "-o", str(out)]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_saved_keras_model_converts(tmp_path, capsys):
    import keras

    from tflite_sparse.keras import ActivationMask

    inputs = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    keras.Model(inputs, ActivationMask(np.eye(8), name="mask1")(x)).save(tmp_path / "m.keras")
    out = tmp_path / "m.tflite"
    assert main(["convert", str(tmp_path / "m.keras"), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["masked"] == 1
    assert inspect_model(out).totals.skipping == 1


@pytest.mark.parametrize("command", ["mask", "convert", "inspect"])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"example: tflite-sparse {command}" in capsys.readouterr().out
