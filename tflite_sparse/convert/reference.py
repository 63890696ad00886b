"""Running a .tflite on the stock interpreter, to compare results against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tflite_sparse.inputs import random_inputs

Array = npt.NDArray[Any]


class Reference:
    """A model on ai-edge-litert's built-in kernels, without any delegate.

    Args:
        content: the bytes of a .tflite.

    Raises:
        ValueError, RuntimeError: the interpreter does not take the model, say
            for a custom operator.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self.inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self.outputs: list[dict[str, Any]] = self._interpreter.get_output_details()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for one set of inputs, in the order of the model's inputs and outputs."""
        for detail, value in zip(self.inputs, inputs):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        return [self.tensor(detail["index"]) for detail in self.outputs]

    def tensor(self, index: int) -> Array:
        """A copy of a tensor's content after the last run."""
        content: Array = self._interpreter.get_tensor(index)
        return content

    def random_inputs(self, seed: int = 0) -> list[Array]:
        """See :func:`tflite_sparse.inputs.random_inputs`."""
        return random_inputs(self.inputs, seed)
