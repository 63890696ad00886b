"""Models with a few things in them changed, by number: the same number gives the same model."""

from __future__ import annotations

import itertools
import random
import struct
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as fb

import tflite_sparse as ts
from tests.conformance.one_operation import Case, content
from tests.conformance.operations import all_cases
from tests.convert.small_models import SmallModel

SIZES = (-1, 0, 1, 2, 3, 5, 8, 17, 64, 1000)
NUMBERS = (-(2**31), -1000, -2, -1, 0, 1, 2, 3, 4, 7, 100, 2**31 - 1)
# VAR_HANDLE writes four bytes, whatever its output's size: what follows is not repeatable.
OPERATIONS = sorted(set(range(160)) - {fb.BuiltinOperator.VAR_HANDLE})
TYPES = ("FLOAT32", "FLOAT16", "INT8", "UINT8", "INT32", "INT64", "BOOL", "STRING", "INT16")


def masked_models() -> list[bytes]:
    """Small networks with masks: convolutions, a depthwise one, sums, gates."""
    models = []
    for dtype in ("FLOAT32", "INT8", "UINT8"):
        model = SmallModel(dtype)
        x = model.input([1, 6, 8, 4])
        first = model.conv(x, 8, "conv1", activation="RELU6")
        second = model.depthwise(first, "depthwise", activation="RELU")
        third = model.conv(second, 4, "conv2", kernel=1)
        gated = model.silu(third, "gate") if dtype == "FLOAT32" else third
        model.output(model.add(gated, x, "sum"), second)
        generator = np.random.default_rng(0)
        masks = {name: generator.random((6, 8)) < 0.5 for name in ("conv1", "depthwise", "sum")}
        models.append(ts.apply_masks(model.content(), ts.MaskSet(masks)))
    return models


def single_operations() -> list[Case]:
    """One case of the conformance net for each operation and type, and then some."""
    cases = all_cases()
    random.Random(0).shuffle(cases)
    kept: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        operand = case.operands[case.main]
        assert operand is not None
        kept.setdefault((case.kind, operand.array.dtype.name), []).append(case)
    return [case for group in kept.values() for case in group[:2]]


class Mutants:
    """Draws mutants: half of them of masked networks, half of single operations."""

    def __init__(self) -> None:
        self._masked = masked_models()
        self._single = [content(case) for case in single_operations()]

    def __getitem__(self, number: int) -> bytes:
        for attempt in itertools.count():
            try:
                return self._draw(random.Random(f"{number}/{attempt}"))
            except (TypeError, struct.error):
                continue  # a number that its field cannot hold
        raise AssertionError

    def _draw(self, source: random.Random) -> bytes:
        original = source.choice(self._masked if source.random() < 0.5 else self._single)
        if source.random() < 0.2:
            return _changed_bytes(original, source)
        model = fb.ModelT.InitFromObj(fb.Model.GetRootAs(original, 0))
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            source.choice(CHANGES)(model, source)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _changed_bytes(model: bytes, source: random.Random) -> bytes:
    changed = bytearray(model)
    for _ in range(source.choice((1, 2, 8))):
        changed[source.randrange(8, len(changed))] = source.randrange(256)
    return bytes(changed)


def _tensor(model: Any, source: random.Random) -> Any:
    return source.choice(model.subgraphs[0].tensors)


def _op(model: Any, source: random.Random) -> Any:
    return source.choice(model.subgraphs[0].operators)


def _change_shape(model: Any, source: random.Random) -> None:
    tensor = _tensor(model, source)
    shape = [int(size) for size in (tensor.shape if tensor.shape is not None else [])]
    what = source.random()
    if shape and what < 0.6:
        shape[source.randrange(len(shape))] = source.choice(SIZES)
    elif shape and what < 0.8:
        del shape[source.randrange(len(shape))]
    else:
        shape.insert(source.randint(0, len(shape)), source.choice(SIZES))
    tensor.shape = shape


def _change_type(model: Any, source: random.Random) -> None:
    _tensor(model, source).type = getattr(fb.TensorType, source.choice(TYPES))


def _change_buffer(model: Any, source: random.Random) -> None:
    _tensor(model, source).buffer = source.randrange(len(model.buffers))


def _change_quantisation(model: Any, source: random.Random) -> None:
    tensor = _tensor(model, source)
    if tensor.quantization is None or source.random() < 0.2:
        tensor.quantization = source.choice((None, fb.QuantizationParametersT()))
        return
    name, values = source.choice(
        (
            ("scale", (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), 0.5)),
            ("zeroPoint", (-(2**40), -129, -1, 0, 1, 127, 256, 2**40)),
        )
    )
    old = getattr(tensor.quantization, name)
    new = [] if old is None else [item.item() for item in np.asarray(old)]
    if new and source.random() < 0.7:
        new[source.randrange(len(new))] = source.choice(values)
    else:
        new = [source.choice(values) for _ in range(source.choice((0, 1, 2, 4, 8)))]
    setattr(tensor.quantization, name, new)
    if source.random() < 0.3:
        tensor.quantization.quantizedDimension = source.choice((-1, 1, 3, 4, 100))


def _change_wiring(model: Any, source: random.Random) -> None:
    graph, op = model.subgraphs[0], _op(model, source)
    name = source.choice(("inputs", "outputs"))
    owner = op if source.random() < 0.7 else graph
    old = getattr(owner, name)
    indices = [] if old is None else [int(index) for index in old]
    drawn = source.choice((-1, *range(len(graph.tensors))))
    what = source.random()
    if indices and what < 0.6:
        indices[source.randrange(len(indices))] = drawn
    elif indices and what < 0.8:
        del indices[source.randrange(len(indices))]
    else:
        indices.append(drawn)
    setattr(owner, name, indices)


def _change_options(model: Any, source: random.Random) -> None:
    options = _op(model, source).builtinOptions
    fields = [name for name in vars(options) if not callable(name)] if options else []
    if not fields:
        return
    name = source.choice(fields)
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, int):
        small = name in ("padding", "fusedActivationFunction", "weightsFormat")
        setattr(options, name, source.randrange(8) if small else source.choice(NUMBERS))
    elif isinstance(old, float):
        setattr(options, name, source.choice((0.0, -1.0, 1e30, float("nan"))))


def _change_operation(model: Any, source: random.Random) -> None:
    code = source.choice(model.operatorCodes)
    if source.random() < 0.3:
        code.version = source.randrange(8)
    else:
        code.builtinCode = source.choice(OPERATIONS)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _change_data(model: Any, source: random.Random) -> None:
    buffer = source.choice(model.buffers)
    data = b"" if buffer.data is None else bytes(buffer.data)
    what = source.random()
    if data and what < 0.3:
        data = data[: source.randrange(len(data))]
    elif what < 0.4:
        data += bytes(source.choice((1, 4, 16, 1000)))
    elif len(data) >= 4:
        values = np.frombuffer(data[: len(data) // 4 * 4], np.int32).copy()
        values[source.randrange(len(values))] = source.choice(NUMBERS)
        data = values.tobytes()
    buffer.data = np.frombuffer(data, np.uint8)


def _repeat_or_drop_operation(model: Any, source: random.Random) -> None:
    operators = model.subgraphs[0].operators
    position = source.randrange(len(operators))
    if source.random() < 0.5:
        operators.append(operators[position])
    else:
        operators.insert(0, operators.pop(position))


CHANGES = (
    _change_shape,
    _change_type,
    _change_buffer,
    _change_quantisation,
    _change_wiring,
    _change_wiring,
    _change_options,
    _change_options,
    _change_operation,
    _change_data,
    _repeat_or_drop_operation,
)
