"""The picture that the example classifies, and what it should say of it."""

import re

import numpy as np

import tflite_sparse as ts
from tests.runtime.models import content
from tools.fetch_models import fetched

MODEL = "face_landmark_fp32-s50"


def pixels():
    """A real photo, 8-bit RGB ``[H, W, 3]``."""
    from PIL import Image

    return np.asarray(Image.open(fetched("astronaut")).convert("RGB"))


def write(path):
    """Write it as a .ppm; the path."""
    height, width, _ = pixels().shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels().tobytes())
    return path


def scores():
    """Scores of the same picture in Python, without skipping anything."""
    interpreter = ts.Interpreter(model_content=content(MODEL), mode="off")
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    _, height, width, _ = detail["shape"]
    photo = pixels()
    rows = np.arange(height) * photo.shape[0] // height
    columns = np.arange(width) * photo.shape[1] // width
    interpreter.set_tensor(detail["index"], photo[rows][:, columns][None].astype(np.float32) / 255)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel()


def check(said):
    """Assert that this line of the example is right."""
    found = re.fullmatch(r"class (\d+) of (\d+), score (\S+)", said)
    expected = scores()
    assert int(found[1]) == int(np.argmax(expected))
    assert int(found[2]) == expected.size
    np.testing.assert_allclose(float(found[3]), expected.max(), rtol=1e-4)
