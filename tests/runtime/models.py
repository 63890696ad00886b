"""The models of these tests, and how to run them."""

import numpy as np

from tools.fetch_models import fetched
from tools.make_models import made

FLOAT = (
    "face_detection_short_range",
    "face_detection_back",
    "face_landmark",
    "face_landmark_fp32",
    "hand_landmark_lite",
    "hand_landmark_full",
    "iris_landmark_fp32",
    "palm_detection_lite",
    "pose_detection",
    "pose_landmark_full",
    "face_detection_front",
    "face_detection_full_range",
    "face_detection_full_range_sparse",  # sparse weights of float16
    "face_detection_full_range_sparse_fp32",
    "hand_recrop",
    "palm_detection_full",
)
# With operations that no interpreter has.
REFUSED = (
    "face_landmark_with_attention",
    "selfie_segmentation",
    "selfie_segmentation_landscape",
)
INT8 = ("face_landmark_int8", "iris_landmark_int8")
MASKED_INT8 = ("face_landmark_int8-s30", "face_landmark_int8-s50")
MASKED = (
    "face_landmark_fp32-s30",
    "face_landmark_fp32-s50",
    "face_detection_short_range-s30",
    "face_detection_short_range-s50",
)
SMALL = "face_detection_short_range"


def content(name):
    """Bytes of a fetched or made model."""
    path = made(name) if name in INT8 + MASKED_INT8 + MASKED else fetched(name)
    return path.read_bytes()


def expected(name):
    """Input and outputs of an int8 model, from ai-edge-litert 2.3's built-in XNNPACK delegate."""
    arrays = np.load(made(name).with_suffix(".expected.npz"))
    first, *outputs = (arrays[key] for key in arrays.files)
    return [first], outputs


def inputs(interpreter, seed=0):
    """Random inputs in the order of the model."""
    generator = np.random.default_rng(seed)
    values = []
    for detail in interpreter.get_input_details():
        if detail["dtype"] == np.float32:
            values.append(generator.random(detail["shape"], np.float32))
        else:
            values.append(generator.integers(-128, 128, detail["shape"], detail["dtype"]))
    return values


def run(interpreter, values):
    """Outputs of one inference."""
    for detail, value in zip(interpreter.get_input_details(), values):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [interpreter.get_tensor(detail["index"]) for detail in details]
