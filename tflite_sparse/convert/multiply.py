"""Writing the multiply that carries a mask, in its one form."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflite_sparse.graph.schema import schema
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask

NUMPY_TYPES = {"FLOAT32": np.float32, "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16}

# The version of MUL that runtimes ask for, by the type of its tensors; 3 is
# 8-bit with a rescale of 1 or more, and a mask's is exactly 1.
_VERSIONS = {"FLOAT32": 1, "INT8": 3, "UINT8": 3, "INT16": 4}


class MaskWriter:
    """Writes mask multiplies into one subgraph, sharing the constants of equal masks."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def write(self, op: Any, data: int, mask: Mask) -> None:
        """Make ``op`` multiply the tensor ``data`` by ``mask``.

        Its outputs stay, and what a multiply has fused stays too.
        """
        fb = schema()
        dtype = self._view.dtype(data)
        op.opcodeIndex = self._view.file.add_operator_code(fb.BuiltinOperator.MUL, _VERSIONS[dtype])
        op.inputs = [data, self._constant(dtype, mask)]
        if op.builtinOptionsType != fb.BuiltinOptions.MulOptions:
            op.builtinOptionsType = fb.BuiltinOptions.MulOptions
            op.builtinOptions = fb.MulOptionsT()

    def _constant(self, dtype: str, mask: Mask) -> int:
        """A constant ``[1, H, W, 1]`` of 0 and 1 (at scale 1, zero point 0 where quantised)."""
        key = (dtype, mask.shape, mask.tobytes())
        if key not in self._constants:
            self._constants[key] = self._new_constant(dtype, mask)
        return self._constants[key]

    def _new_constant(self, dtype: str, mask: Mask) -> int:
        fb, tensors = schema(), self._view.graph.tensors
        tensor = fb.TensorT()
        tensor.shape = [1, *mask.shape, 1]
        tensor.type = getattr(fb.TensorType, dtype)
        tensor.name = f"activation_mask_{len(tensors)}".encode()
        tensor.buffer = self._view.file.add_buffer(mask.astype(NUMPY_TYPES[dtype]))
        tensor.quantization = fb.QuantizationParametersT()
        if dtype != "FLOAT32":
            tensor.quantization.scale = [1.0]
            tensor.quantization.zeroPoint = [0]
        tensors.append(tensor)
        return len(tensors) - 1
