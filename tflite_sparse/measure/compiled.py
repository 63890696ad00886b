"""LiteRT's CompiledModel with the calls of an Interpreter, so that both are measured alike."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.litert import compile_model
from tflite_sparse.report import Profile, SparsityReport
from tflite_sparse.runtime import Runtime, find_runtime

#: Name, for `bench --runtime`, of ai-edge-litert's CompiledModel.
COMPILED = "litert-compiled"


def find_bench_runtime(name: str | None) -> Runtime:
    """As `find_runtime`, which does not know `COMPILED`: it is not an Interpreter."""
    if name != COMPILED:
        return find_runtime(name)
    return dataclasses.replace(find_runtime("ai-edge-litert"), name=COMPILED)


class CompiledInterpreter:
    """The first signature of a CompiledModel, with tensors by position.

    Args:
        model: ours or LiteRT's own.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        signature = model.get_signature_by_index(0)
        key = signature["key"]
        self._inputs = model.create_input_buffers(0)
        self._outputs = model.create_output_buffers(0)
        self._input_details = _details(signature["inputs"], model.get_input_tensor_details(key))
        self._output_details = _details(signature["outputs"], model.get_output_tensor_details(key))

    @classmethod
    def stock(cls, content: bytes, threads: int) -> CompiledInterpreter:
        """The model in LiteRT's own environment, on its built-in XNNPACK; RuntimeError if it fails."""
        from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, Options

        options = Options(cpu_options=CpuOptions(num_threads=threads))
        return cls(CompiledModel.from_buffer(content, options=options))

    @classmethod
    def ours(cls, content: bytes, **options: Any) -> CompiledInterpreter:
        """The model as `compile_model` makes it."""
        return cls(compile_model(model_content=content, **options))

    def get_input_details(self) -> list[dict[str, Any]]:
        """Name, index, shape and dtype of each input."""
        return self._input_details

    def get_output_details(self) -> list[dict[str, Any]]:
        """Name, index, shape and dtype of each output."""
        return self._output_details

    def set_tensor(self, index: int, value: npt.NDArray[Any]) -> None:
        """Copy an array into an input."""
        self._inputs[index].write(value)

    def get_tensor(self, index: int) -> npt.NDArray[Any]:
        """A copy of an output."""
        detail = self._output_details[index]
        values = self._outputs[index].read(math.prod(detail["shape"]), detail["dtype"].type)
        return np.asarray(values).reshape(detail["shape"])

    def invoke(self) -> None:
        """Run one inference."""
        self._model.run_by_index(0, self._inputs, self._outputs)

    def sparsity_report(self) -> SparsityReport:
        """That of a model of ours."""
        report: SparsityReport = self._model.sparsity_report()
        return report

    def profile(self) -> Profile:
        """That of a model of ours."""
        profile: Profile = self._model.profile()
        return profile


def _details(names: list[str], details: dict[str, Any]) -> list[dict[str, Any]]:
    # LiteRT does not tell the quantisation: none, as an Interpreter's details would say.
    return [
        {
            "quantization": (0.0, 0),
            **details[name],
            "index": index,
            "dtype": np.dtype(details[name]["dtype"]),
        }
        for index, name in enumerate(names)
    ]
