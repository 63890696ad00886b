#!/usr/bin/env python3
"""Make int8 versions of the fetched float32 models, calibrated on crops of the fetched photo.

    python3 tools/quantize_models.py         # make what is missing

They are kept beside the fetched models, as NAME_int8.tflite.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.fetch_models import cache, fetched

MODELS = ("face_landmark_fp32", "iris_landmark_fp32")
_CALIBRATION_CROPS = 16


def int8_path(name: str) -> Path:
    """Where the int8 version of a fetched model is."""
    return cache() / f"{name.removesuffix('_fp32')}_int8.tflite"


def with_signature(path: Path) -> tuple[bytes, str]:
    """The model with what the quantizer needs: a signature, and builtin codes in the new field.

    Returns the model and the name of its first input in that signature.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = [_entry(schema, graph, index) for index in graph.inputs]
    signature.outputs = [_entry(schema, graph, index) for index in graph.outputs]
    model.signatureDefs = [signature]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), signature.inputs[0].name


def _entry(schema, graph, index):
    entry = schema.TensorMapT()
    entry.name = graph.tensors[index].name.decode()
    entry.tensorIndex = index
    return entry


def crops(height: int, width: int) -> np.ndarray:
    """Float32 crops [n, height, width, 3] in [0, 1] of the photo, the same on every machine."""
    from PIL import Image

    photo = Image.open(fetched("astronaut")).convert("RGB")
    generator = np.random.default_rng(0)
    images = []
    for _ in range(_CALIBRATION_CROPS):
        size = int(generator.integers(96, 400))
        left, top = (int(generator.integers(0, 512 - size)) for _ in range(2))
        crop = photo.crop((left, top, left + size, top + size)).resize((width, height))
        images.append(np.asarray(crop, np.float32) / 255)
    return np.stack(images)


def quantize(path: Path) -> bytes:
    """The model in `path` with int8 activations and weights, float inputs and outputs."""
    from ai_edge_quantizer import quantizer, recipe

    content, name = with_signature(path)
    work = quantizer.Quantizer(content, recipe.static_wi8_ai8())
    from ai_edge_litert.interpreter import Interpreter

    _, height, width, _ = Interpreter(model_content=content).get_input_details()[0]["shape"]
    samples = {"serving_default": [{name: crop[None]} for crop in crops(height, width)]}
    return bytes(work.quantize(work.calibrate(samples)).quantized_model)


def main() -> int:
    """Make the missing ones; returns the exit code."""
    for name in MODELS:
        path = int8_path(name)
        if not path.is_file():
            print(f"== quantizing {name}", flush=True)
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            temporary.write_bytes(quantize(fetched(name)))
            temporary.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
