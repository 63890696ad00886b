#!/usr/bin/env python3
"""Make int8 and masked versions of the fetched models, for tests and benchmarks, in build/models.

    python3 tools/make_models.py

int8 versions are calibrated on crops of the fetched photo. Masks are random (propagated from one
score map), so masked models are right or wrong as a computation but detect nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tflite_sparse.convert import apply_masks
from tflite_sparse.files import write_atomically
from tflite_sparse.measure.sweep import made_masks
from tools.fetch_models import fetched

OUT = Path(__file__).resolve().parent.parent / "build" / "models"
QUANTIZED = {"face_landmark_int8": "face_landmark_fp32", "iris_landmark_int8": "iris_landmark_fp32"}
MASKED = ("face_landmark_fp32", "face_landmark_int8", "face_detection_short_range")
_CALIBRATION_CROPS = 16


def made(name: str) -> Path:
    """Path of a made model, say face_landmark_int8 or face_landmark_int8-s50."""
    path = OUT / f"{name}.tflite"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; run `make models`")
    return path


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


def _entry(schema: Any, graph: Any, index: int) -> Any:
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
    """The model in `path` with int8 weights and activations, inputs and outputs too."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    content, name = with_signature(path)
    work = quantizer.Quantizer(content, recipe.static_wi8_ai8())
    _, height, width, _ = Interpreter(model_content=content).get_input_details()[0]["shape"]
    samples = {"serving_default": [{name: crop[None]} for crop in crops(height, width)]}
    return bytes(work.quantize(work.calibrate(samples)).quantized_model)


def expect(name: str) -> None:
    """Keep an int8 model's outputs on one random input, from ai-edge-litert's built-in XNNPACK.

    Not every runtime's built-in delegate takes int8, and other kernels round otherwise: deep in a
    network they are several units apart, so one must not be judged by another.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=made(name).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    image = np.random.default_rng(0).integers(-128, 128, detail["shape"], np.int8)
    interpreter.set_tensor(detail["index"], image)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()]
    with tempfile.TemporaryFile() as file:
        np.savez(file, image, *outputs)
        file.seek(0)
        write_atomically(OUT / f"{name}.expected.npz", file.read())


def main() -> int:
    """Make all of them; returns the exit code."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, source in QUANTIZED.items():
        print(f"== quantizing {source}", flush=True)
        write_atomically(OUT / f"{name}.tflite", quantize(fetched(source)))
        expect(name)
    for name in MASKED:
        print(f"== masking {name}", flush=True)
        source_path = made(name) if name in QUANTIZED else fetched(name)
        for sparsity in (0.3, 0.5):
            masks = made_masks(source_path.read_bytes(), sparsity)
            target = OUT / f"{name}-s{sparsity * 100:.0f}"
            masks.save(target.with_suffix(".masks.npz"))
            write_atomically(target.with_suffix(".tflite"), apply_masks(source_path, masks))
            if name in QUANTIZED:
                expect(target.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
