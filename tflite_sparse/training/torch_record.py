"""A record of one forward pass of a PyTorch model.

The pass really runs, and what is recorded is what happened: so models with
control flow, reused modules and functional calls need nothing special. Symbolic
tracing (torch.fx) would refuse the first of these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

from tflite_sparse.convert.torch_mode import evaluating
from tflite_sparse.errors import MaskError
from tflite_sparse.training.places import ADD, CONV, NONZERO, NORM, OTHER, ZERO, Node, Record

_NORM_MODULES = (nn.BatchNorm2d, nn.SyncBatchNorm)
_ACTIVATION_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus),
    *(nn.Softsign, nn.LogSigmoid, nn.Threshold, nn.Identity, nn.Dropout, nn.Dropout2d),
)
_ACTIVATION_FUNCTIONS = {
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("hardswish", "hardtanh", "tanh", "sigmoid", "hardsigmoid", "softplus", "softsign"),
    *("logsigmoid", "threshold", "clamp", "clip", "dropout", "dropout2d"),
}


def record_forward(model: nn.Module, inputs: Sequence[torch.Tensor]) -> Record:
    """What happens in one forward pass, without gradients and in evaluation mode.

    Raises:
        MaskError: the model does not run on the inputs.
    """
    recorder = _Recorder(model)
    try:
        with evaluating(model), torch.no_grad(), recorder.hooks(), recorder:
            result = model(*inputs)
    except Exception as error:  # a model's forward raises anything
        shapes = [list(value.shape) for value in inputs]
        raise MaskError(
            f"{type(model).__name__} does not run on inputs of the shapes {shapes}: {error}. Give "
            "the input_size that it is trained at, or example_inputs where it takes something "
            "other than one batch of images"
        ) from error
    recorder.record.results = tuple(
        recorder.number(value)
        for value in _pytree.tree_leaves(result)
        if isinstance(value, torch.Tensor)
    )
    return recorder.record


class _Recorder(TorchFunctionMode):  # type: ignore[misc]
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.record = Record()
        self._names = {module: name for name, module in model.named_modules()}
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self._count = 0
        self._inside = 0

    def number(self, value: torch.Tensor) -> int:
        """The number of the value that a tensor now holds."""
        return self._numbers[id(value)] if id(value) in self._numbers else self._assign(value)

    def _assign(self, value: torch.Tensor) -> int:
        # Tensors are kept, so that no other gets their identity. One changed in place is
        # the same tensor with another value.
        self._kept.append(value)
        self._count += 1
        self._numbers[id(value)] = self._count
        return self._count

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        inputs = self._numbers_of((args, kwargs))
        function = _activation(func, args, kwargs)
        result = func(*args, **kwargs)
        if inputs and self._tensors(result):
            name = getattr(func, "__name__", str(func))
            kind = OTHER if function is None else _zero_or_not(function, args[0])
            if name.strip("_") in {"add", "iadd", "radd"}:
                kind = ADD
            elif name in {"batch_norm", "instance_norm"}:
                kind = NORM
            if name in {"dropout", "dropout2d"}:
                function = None
            self._add(Node(name, kind, inputs, (), function=function), result)
        return result

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        """Each call of a convolution, normalisation or activation module is one node."""
        handles = []
        for module in self._names:
            if isinstance(module, (nn.Conv2d, *_NORM_MODULES, *_ACTIVATION_MODULES)):
                handles.append(module.register_forward_pre_hook(self._enter, prepend=True))
                handles.append(module.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        if not self._inside:
            # Now, because the module may change its input in place.
            self._waiting = self._numbers_of(inputs)
        self._inside += 1

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inside -= 1
        if self._inside or not inputs or not isinstance(output, torch.Tensor):
            return
        node = Node(self._names[module], OTHER, self._waiting, (), layer=module)
        if isinstance(module, nn.Conv2d):
            node.kind, node.pointwise = CONV, module.kernel_size == (1, 1)
        elif isinstance(module, _NORM_MODULES):
            node.kind = NORM
        else:
            with self._aside():
                node.kind = _zero_or_not(module.forward, inputs[0])
            # Dropout does nothing in evaluation and must not draw numbers elsewhere.
            if not isinstance(module, (nn.Dropout, nn.Dropout2d)):
                node.function = module.forward
        self._add(node, output)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _add(self, node: Node, result: Any) -> None:
        tensors = self._tensors(result)
        node.outputs = tuple(self._assign(value) for value in tensors)
        if tensors[0].ndim == 4:
            node.size = int(tensors[0].shape[2]), int(tensors[0].shape[3])
        self.record.add(node)

    def _numbers_of(self, values: Any) -> tuple[int, ...]:
        return tuple(self.number(value) for value in self._tensors(values))

    @staticmethod
    def _tensors(values: Any) -> list[torch.Tensor]:
        leaves = _pytree.tree_leaves(values)
        return [value for value in leaves if isinstance(value, torch.Tensor)]


def _activation(func: Any, args: Any, kwargs: Any) -> Callable[[Any], Any] | None:
    """The function of one tensor that a call of an activation applies, None for other calls."""
    if getattr(func, "__name__", "").strip("_") not in _ACTIVATION_FUNCTIONS or not args:
        return None
    return lambda value: func(value, *args[1:], **kwargs)


def _zero_or_not(function: Callable[[Any], Any], example: torch.Tensor) -> str:
    zeros = torch.zeros_like(example[:1, :, :1, :1] if example.ndim == 4 else example)
    return ZERO if not function(zeros).any() else NONZERO
