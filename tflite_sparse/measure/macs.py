"""Multiply-accumulates of a model, counted from the shapes of its tensors."""

from __future__ import annotations

from tflite_sparse.macs import operation_macs
from tflite_sparse.runtime import Runtime


def count_macs(runtime: Runtime, content: bytes) -> int:
    """Multiply-accumulates of one inference in convolutions and fully connected layers.

    `content` must be a verified model. See `operation_macs` for what counts.
    """
    interpreter = runtime.module.Interpreter(
        model_content=content,
        experimental_op_resolver_type=runtime.module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    shapes = {
        tensor["index"]: [int(size) for size in tensor["shape"]]
        for tensor in interpreter.get_tensor_details()
    }
    return sum(
        operation_macs(
            op["op_name"],
            # An optional input that is left out has the index -1.
            [shapes.get(int(index), []) for index in op["inputs"]],
            shapes[int(op["outputs"][0])],
        )
        for op in interpreter._get_ops_details()
        if len(op["outputs"])
    )
