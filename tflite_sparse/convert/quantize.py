"""Quantising a float .tflite after its masks are in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tflite_sparse.convert.checking import Array
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.errors import ConversionError
from tflite_sparse.graph.file import ModelFile


def quantize_tflite(content: bytes, quantize: str, data: Sequence[Sequence[Array]] | None) -> bytes:
    """Quantise with ai-edge-quantizer, and make the masks exact again.

    Args:
        content: a float .tflite with one signature.
        quantize: ``float16``, ``dynamic`` or ``int8``.
        data: for int8, the samples, each the model's inputs in order.

    Raises:
        ConversionError: the quantiser failed.
    """
    from ai_edge_quantizer import quantizer, recipe

    recipes: dict[str, Any] = {
        "float16": _float16_recipe,
        "dynamic": recipe.dynamic_wi8_afp32,
        "int8": _int8_recipe,
    }
    try:
        tool = quantizer.Quantizer(bytearray(content), recipes[quantize]())
        calibration = None
        if data is not None and quantize == "int8":
            calibration = tool.calibrate(_by_signature(content, data))
        result = bytes(tool.quantize(calibration).quantized_model)
    except Exception as error:  # the quantiser raises many kinds
        raise ConversionError(f"ai-edge-quantizer failed on {quantize}: {error}") from error
    file = ModelFile.read(result)
    make_masks_exact(file)
    return file.to_bytes()


def _float16_recipe() -> list[dict[str, Any]]:
    return [
        {
            "regex": ".*",
            "operation": operation,
            "algorithm_key": "float_casting",
            "op_config": {
                "weight_tensor_config": {"num_bits": 16, "dtype": "FLOAT"},
                "compute_precision": "FLOAT",
                "explicit_dequantize": True,
            },
        }
        for operation in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D_TRANSPOSE")
    ]


def _int8_recipe() -> list[dict[str, Any]]:
    """Everything in 8 bits but the model's borders, which stay float as Keras's converter has it."""
    from ai_edge_quantizer import recipe

    borders: list[dict[str, Any]] = [
        {"regex": ".*", "operation": border, "algorithm_key": "no_quantize", "op_config": {}}
        for border in ("INPUT", "OUTPUT")
    ]
    return [*recipe.static_wi8_ai8(), *borders]


def _by_signature(content: bytes, data: Sequence[Sequence[Array]]) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    key, signature = next(iter(interpreter.get_signature_list().items()))
    details = interpreter.get_signature_runner(key).get_input_details()
    names = sorted(signature["inputs"], key=lambda name: details[name]["index"])
    return {
        key: [
            {name: value.astype(np.float32) for name, value in zip(names, sample)}
            for sample in data
        ]
    }
