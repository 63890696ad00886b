"""skip_zeros changes nothing but the time: through the library, on real models."""

import numpy as np
import pytest

import tflite_sparse as ts
from tools.fetch_models import fetched
from tools.make_models import made


def run(path, **options):
    interpreter = ts.Interpreter(path, **options)
    interpreter.allocate_tensors()
    random = np.random.default_rng(3)
    for detail in interpreter.get_input_details():
        values = random.standard_normal(detail["shape"]).astype(np.float32)
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()]
    return outputs, interpreter.sparsity_report()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
def test_outputs_are_equal(mode, threads):
    path = made("face_landmark_fp32-s30")
    expected, report = run(path, mode=mode, num_threads=threads, skip_zeros="never")
    assert {layer.form for layer in report.zero_layers} <= {"dense", "tiles"}
    assert report.list_bytes == 0
    for when in ("always", "auto"):
        outputs, report = run(path, mode=mode, num_threads=threads, skip_zeros=when)
        for output, value in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(output, value)
        assert report.skip_zeros == when


def test_report_says_what_was_seen():
    _, report = run(fetched("face_landmark_fp32"), skip_zeros="always")
    skipped = [layer for layer in report.zero_layers if layer.form == "zeros"]
    assert skipped
    assert all(0 <= layer.zeros <= 1 and not layer.reason for layer in skipped)
    depthwise = [layer for layer in report.zero_layers if layer.op.startswith("Depthwise")]
    assert depthwise
    assert all(layer.form == "dense" and layer.reason for layer in depthwise)
    assert 0 < report.list_bytes < report.arena_bytes
    assert "zeros in activations" in str(report)
    assert report.to_dict()["zero_layers"][0]["layer"]


def test_bad_value_is_an_error():
    with pytest.raises(ts.OptionError, match=r"'skip_zeros' has the value 'yes'.*'auto', 'always'"):
        ts.Interpreter(fetched("face_landmark_fp32"), skip_zeros="yes")
