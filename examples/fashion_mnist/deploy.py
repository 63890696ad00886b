"""From a trained run to a .tflite, and from that to the classes of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

import tflite_sparse as ts
from examples.fashion_mnist.data import pictures
from examples.fashion_mnist.runs import Run
from tflite_sparse.measure.variants import load_variant
from tflite_sparse.runtime import find_runtime

MODES = ("stock", "off", "insert", "compact")
#: By how much rounding may move the count of right pictures, of 10,000, from the trainer's.
TOLERANCE = 2


def read_run(folder: Path) -> Run:
    """What was trained in a folder."""
    settings = json.loads((folder / "run.json").read_text())
    return Run(**{name: value for name, value in settings.items() if name != "epochs"})


def trainers_count(folder: Path) -> int:
    """How many of the 10,000 test pictures the trainer named rightly at the end of a run."""
    return int(json.loads((folder / "result.json").read_text())["correct"])


def check_count(folder: Path, mode: str, count: int) -> int:
    """`count` itself, of right pictures by a run's .tflite, if the trainer's is as good.

    Raises SystemExit if they differ by more than TOLERANCE.
    """
    wanted = trainers_count(folder)
    if abs(count - wanted) > TOLERANCE:
        raise SystemExit(
            f"error: the .tflite of {folder} names {count} of the test pictures rightly in mode "
            f"{mode}; expected the trainer's {wanted}, at most {TOLERANCE} off"
        )
    return count


def convert(folder: Path) -> bytes:
    """The trained run in a folder as a .tflite, with its masks."""
    run = read_run(folder)
    masks = ts.MaskSet.load(folder / "masks.npz") if run.sparsity else None
    if run.network.endswith("-keras"):
        from examples.fashion_mnist.keras_network import resnet

        network = resnet(run.width, run.size)
        network.load_weights(folder / "keras.weights.h5")
        return ts.convert_keras(network, masks)
    import torch

    from examples.fashion_mnist.networks import NETWORKS
    from tflite_sparse.torch import set_thresholds

    network = NETWORKS[run.network](run.width)
    if run.threshold:
        set_thresholds(network, run.threshold, learnable=run.learnable)
    network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu"))
    example = torch.from_numpy(pictures("t10k", run.size)[0][:1].transpose(0, 3, 1, 2).copy())
    return ts.convert_torch(network.eval(), (example,), masks)


def classify(content: bytes, mode: str, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The class ``[N]`` of each picture: by "stock", or by a mode of the delegate."""
    interpreter = load_variant(find_runtime(), mode, content, 1, label="the network").interpreter
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    classes = np.empty(len(images), np.int64)
    for number, picture in enumerate(images):
        interpreter.set_tensor(given, picture[None])
        interpreter.invoke()
        classes[number] = interpreter.get_tensor(result).argmax()
    return classes


def count_correct(content: bytes, mode: str, size: int) -> int:
    """How many of the 10,000 test pictures are named rightly; see `classify`."""
    images, labels = pictures("t10k", size)
    return int((classify(content, mode, images) == labels).sum())
