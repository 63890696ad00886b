"""Activity of .tflite files: effective multiply-accumulates against the stock kernels themselves.

A layer whose nonzero weights are all 1, on an input whose nonzero values are all 1, adds up exactly
the pairs of a nonzero weight and a nonzero activation. So the sum of its output, by the interpreter's
own kernel, is the number that was counted for the layer as it is.
"""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

import tflite_sparse as ts
from tests.convert.small_models import SmallModel
from tests.runtime.models import content
from tflite_sparse.cli import main
from tflite_sparse.convert.checking import Reference
from tools.fetch_models import fetched
from tools.make_models import made

POINT = 3


def draw(seed):
    """A layer's geometry: what any converter may write."""
    generator = np.random.default_rng(seed)

    def pick(*values):
        return values[int(generator.integers(len(values)))]

    kind = pick("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
    stride = [pick(1, 2, 3), pick(1, 2, 3)]
    # The reference kernels have no strides and dilations at once, nor dilated transposed ones.
    dilation = [pick(1, 2), pick(1, 2)] if kind.endswith("CONV_2D") and pick(0, 1) else [1, 1]
    if dilation != [1, 1]:
        stride = [1, 1]
    if kind == "DEPTHWISE_CONV_2D":
        stride[1] = stride[0]
    return {
        "kind": kind,
        "batch": pick(1, 2),
        "size": [pick(5, 8, 9), pick(5, 7, 10)],
        "kernel": [pick(1, 2, 3), pick(1, 2, 3)],
        "stride": stride,
        "dilation": dilation,
        "padding": pick(0, 1),
        "groups": pick(1, 2) if kind == "CONV_2D" else 1,
        "channels": 2 * pick(1, 2, 3),
        "outputs": 2 * pick(1, 2, 3),
        "multiplier": pick(1, 2),
    }


def output_size(case, axis):
    size, stride = case["size"][axis], case["stride"][axis]
    reach = (case["kernel"][axis] - 1) * case["dilation"][axis] + 1
    if case["kind"] == "TRANSPOSE_CONV":
        return size * stride if case["padding"] == 0 else (size - 1) * stride + reach
    return -(-size // stride) if case["padding"] == 0 else (size - reach) // stride + 1


def shapes(case):
    """Of the input, the weights and the output."""
    batch, channels, outputs = case["batch"], case["channels"], case["outputs"]
    if case["kind"] == "FULLY_CONNECTED":
        return (batch, channels), (outputs, channels), (batch, outputs)
    out = (output_size(case, 0), output_size(case, 1))
    data = (batch, *case["size"], channels)
    if case["kind"] == "DEPTHWISE_CONV_2D":
        wide = channels * case["multiplier"]
        return data, (1, *case["kernel"], wide), (batch, *out, wide)
    weights = (outputs, *case["kernel"], channels // case["groups"])
    return data, weights, (batch, *out, outputs)


def options(case):
    if case["kind"] == "FULLY_CONNECTED":
        return fb.FullyConnectedOptionsT()
    made = {
        "CONV_2D": fb.Conv2DOptionsT,
        "DEPTHWISE_CONV_2D": fb.DepthwiseConv2DOptionsT,
        "TRANSPOSE_CONV": fb.TransposeConvOptionsT,
    }[case["kind"]]()
    made.padding = case["padding"]
    made.strideH, made.strideW = case["stride"]
    if case["kind"] != "TRANSPOSE_CONV":
        made.dilationHFactor, made.dilationWFactor = case["dilation"]
    if case["kind"] == "DEPTHWISE_CONV_2D":
        made.depthMultiplier = case["multiplier"]
    return made


def model_of(case, weights, dtype="FLOAT32"):
    data, _, out = shapes(case)
    model = SmallModel(dtype)
    model.generator = None
    integer = dtype != "FLOAT32"
    inputs = [model.input(list(data), **({"point": POINT} if integer else {}))]
    stored = weights.astype(np.int8 if integer else np.float32)
    inputs.append(
        model.tensor(weights.shape, "weights", data=stored, scale=0.1 if integer else None)
    )
    if case["kind"] == "TRANSPOSE_CONV":
        size = model.tensor([4], "size", "INT32", np.array(out, np.int32))
        inputs = [size, inputs[1], inputs[0]]
    else:
        wide = "INT32" if integer else "FLOAT32"
        bias = np.zeros(out[-1], wide.lower())
        scale = 0.005 if integer else None
        inputs.append(model.tensor(bias.shape, "bias", wide, bias, scale))
    model.output(model.op(case["kind"], inputs, list(out), "out", options(case), version=3))
    return model.content()


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8"])
@pytest.mark.parametrize("seed", range(40))
def test_effective_macs_are_what_the_kernel_adds_up(seed, dtype):
    case = draw(seed)
    if dtype == "INT8" and case["groups"] != 1:
        case["groups"] = 1
    data, shape, out = shapes(case)
    if min(out) < 1:
        pytest.skip("the kernel is larger than the input")
    generator = np.random.default_rng(seed)
    weights = generator.integers(-1, 2, shape)
    values = generator.integers(-1, 2, data)
    ones = Reference(model_of(case, weights != 0))
    (expected,) = ones.run([(values != 0).astype(np.float32)])
    stored = values.astype(np.float32) if dtype == "FLOAT32" else (values + POINT).astype(np.int8)
    report = ts.measure_activity(model_of(case, weights, dtype), [[stored]])
    (layer,) = report.layers
    assert (layer.layer, layer.op) == ("out", case["kind"])
    assert layer.macs_effective == expected.sum()
    assert layer.zeros == pytest.approx((values == 0).mean())
    every = Reference(model_of(case, np.ones(shape))).run([np.ones(data, np.float32)])[0].sum()
    # Dense ones count padding too, and what a transposed convolution cuts off.
    assert layer.macs_dense >= every
    if case["padding"] == 1 or case["kind"] == "FULLY_CONNECTED":
        assert layer.macs_dense == every


def test_samples_are_averaged_and_totals_weighted():
    model = content("iris_landmark_fp32")
    photos = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    photos[1, :32] = 0
    together = ts.measure_activity(model, photos)
    alone = [ts.measure_activity(model, [photo[None]]) for photo in photos]
    assert (together.samples, alone[0].samples) == (3, 1)
    first = [report.layers[0] for report in alone]
    assert together.layers[0].zeros == pytest.approx(np.mean([layer.zeros for layer in first]))
    assert together.layers[0].zeros_max == pytest.approx(0.5, abs=1e-3)
    assert together.totals.macs_effective == pytest.approx(
        np.mean([report.totals.macs_effective for report in alone])
    )
    weights = [layer.macs_dense for layer in together.layers]
    zeros = [layer.zeros for layer in together.layers]
    assert together.totals.zeros == pytest.approx(np.average(zeros, weights=weights))


def test_equal_names_are_two_layers():
    model = SmallModel()
    x = model.input([1, 6, 8, 4])
    model.output(model.conv(model.conv(x, 4, "same", kernel=1), 4, "same"))
    report = ts.measure_activity(model.content(), np.ones((1, 6, 8, 4), np.float32))
    assert [layer.layer for layer in report.layers] == ["same", "same #1"]


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    photo = Image.open(fetched("astronaut"))
    for index in range(3):
        photo.crop((0, 0, 200 + 50 * index, 300)).save(folder / f"{index}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_command_on_a_folder(pictures, tmp_path, capsys):
    model = str(fetched("iris_landmark_fp32"))
    plot = tmp_path / "a.png"
    arguments = ["activity", model, "--input", str(pictures)]
    assert main([*arguments, "--json", "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 3
    assert set(found["totals"]) == {"zeros", "macs_dense", "macs_effective"}
    assert set(found["layers"][0]) >= {"layer", "op", "zeros", "macs_dense", "macs_effective"}
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert main([*arguments, "--range", "-1,1"]) == 0
    assert "3 samples" in capsys.readouterr().out


def test_command_against_another_model(tmp_path, capsys):
    """In 8 bits values are steps times a scale: the histograms are those of the real numbers."""
    before, after = str(made("iris_landmark_int8")), str(fetched("iris_landmark_fp32"))
    outputs = [str(tmp_path / name) for name in ("zeros.png", "histograms.png")]
    arguments = ["activity", after, "--against", before, "--input", str(fetched("astronaut"))]
    assert main([*arguments, "--plot", outputs[0], "--histograms", outputs[1]]) == 0
    assert "reduction" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"before", "after", "reductions", "reduction"}
    for layer in found["before"]["layers"] + found["after"]["layers"]:
        assert sum(share for _, share in layer["magnitudes"]) == pytest.approx(1 - layer["zeros"])
    # Both read the same picture first.
    before, after = (dict(found[name]["layers"][0]["magnitudes"]) for name in ("before", "after"))
    for power in set(before) | set(after):
        assert before.get(power, 0) == pytest.approx(after.get(power, 0), abs=0.01)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("shape.npy", np.zeros((1, 8, 8, 3), np.float32), r"holds float32 [1, 8, 8, 3]"),
        ("type.npy", np.zeros((1, 64, 64, 3)), r"holds float64"),
        ("none.npy", np.zeros((0, 64, 64, 3), np.float32), r"holds float32 [0, 64, 64, 3]"),
        ("folder", None, "expected a folder of pictures"),
        ("missing.png", None, "missing.png"),
    ],
)
def test_inputs_that_do_not_fit(name, value, text, tmp_path, capsys):
    if value is not None:
        np.save(tmp_path / name, value)
    elif name == "folder":
        (tmp_path / name).mkdir()
    model = str(fetched("iris_landmark_fp32"))
    assert main(["activity", model, "--input", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("tflite-sparse: ")
    assert text in err


def test_what_cannot_be_measured():
    model = content("iris_landmark_fp32")
    with pytest.raises(ts.OptionError, match="at least one sample"):
        ts.measure_activity(model, [])
    with pytest.raises(ts.OptionError, match=r"found a sample of float64 \[1, 2\]"):
        ts.measure_activity(model, [[np.zeros((1, 2))]])
    with pytest.raises(ts.ModelError, match="refuses the model"):
        ts.measure_activity(content("face_landmark_with_attention"), [])
