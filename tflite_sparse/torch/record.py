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

from tflite_sparse.errors import MaskError
from tflite_sparse.places import (
    ADD,
    CONV,
    LINEAR,
    MASK,
    NONZERO,
    NORM,
    OTHER,
    TRANSPOSE,
    ZERO,
    Node,
    Record,
)
from tflite_sparse.torch.mask import ActivationMask
from tflite_sparse.torch.observer import unobserved
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU

_KINDS: tuple[tuple[Any, str], ...] = (
    (nn.Conv2d, CONV),
    (nn.ConvTranspose2d, TRANSPOSE),
    (nn.Linear, LINEAR),
    ((nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm), NORM),
    (ActivationMask, MASK),
)
_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus),
    *(nn.Softsign, nn.LogSigmoid, nn.Threshold, nn.Identity, nn.Dropout, nn.Dropout1d),
    *(nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(ThresholdReLU, LearnableThresholdReLU),
)
_POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)
_ACTIVATION_FUNCTIONS = {
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("hardswish", "hardtanh", "tanh", "sigmoid", "hardsigmoid", "softplus", "softsign"),
    *("logsigmoid", "threshold", "clamp", "clip", "dropout", "dropout2d"),
}
_POOLING_FUNCTIONS = {
    *("max_pool2d", "avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d"),
    *("mean", "amax"),
}


def record_forward(model: nn.Module, inputs: Sequence[torch.Tensor]) -> Record:
    """What happens in one forward pass, without gradients and in evaluation mode.

    A module that PyTorch brings, or one of ours, is one node; inside of a module of the user's
    own, each function and method called is one. Shapes are ``[N, C, H, W]``.

    Raises:
        MaskError: the model does not run on the inputs.
    """
    recorder = _Recorder(model)
    try:
        with (
            evaluating(model),
            unobserved(model),
            torch.no_grad(),
            recorder.hooks(),
            recorder,
        ):
            result = model(*inputs)
    except Exception as error:  # a model's forward raises anything
        shapes = [list(value.shape) for value in inputs]
        raise MaskError(
            f"{type(model).__name__} does not run on inputs of the shapes {shapes}: {error}. Give "
            "the input_size that it is trained at, or example_inputs where it takes something "
            "other than one batch of images"
        ) from error
    recorder.record.results = tuple(map(recorder.number, tensors(result)))
    return recorder.record


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; each part's own mode is restored afterwards."""
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, out of DataParallel, DistributedDataParallel, torch.compile, AveragedModel.

    Raises:
        MaskError: it was compiled by torch.jit, whose modules take no hooks.
    """
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            raise MaskError(
                f"{type(model).__name__} was compiled by torch.jit, and the modules in it cannot be "
                "looked into; use the nn.Module that it was made from (torch.compile works too)"
            )
        if isinstance(
            model,
            (
                nn.DataParallel,
                nn.parallel.DistributedDataParallel,
                torch.optim.swa_utils.AveragedModel,
            ),
        ):
            model = model.module
        elif isinstance(model, torch._dynamo.eval_frame.OptimizedModule):
            # What was compiled before hooks came would run without them.
            torch.compiler.reset()
            model = model._orig_mod
        else:
            return model


def tensors(values: Any) -> list[torch.Tensor]:
    """The tensors of a structure."""
    return [value for value in _pytree.tree_leaves(values) if isinstance(value, torch.Tensor)]


class _Recorder(TorchFunctionMode):  # type: ignore[misc]
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.record = Record(type(model).__name__)
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
        given = tensors((args, kwargs))
        inputs = tuple(map(self.number, given))
        name = getattr(func, "__name__", str(func))
        result = func(*args, **kwargs)
        if inputs and tensors(result):
            node = Node(name, OTHER, name.strip("_"), inputs)

            def again(value: torch.Tensor) -> Any:
                return func(value, *args[1:], **kwargs)

            if node.operation in _ACTIVATION_FUNCTIONS and isinstance(args[0], torch.Tensor):
                self._activation(node, again, args[0])
            elif node.operation in _POOLING_FUNCTIONS:
                node.function = again
            elif node.operation in {"add", "iadd", "radd"}:
                node.kind = ADD
            elif name in {"batch_norm", "instance_norm"}:
                node.kind = NORM
            self._add(node, given, result)
        return result

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        """Each call of a module that is one node."""
        handles = []
        for module in self._names:
            if _is_one_node(module):
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
            self._waiting = tuple(map(self.number, tensors(inputs)))
        self._inside += 1

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inside -= 1
        if self._inside or not inputs or not tensors(output):
            return
        kind = next((kind for classes, kind in _KINDS if isinstance(module, classes)), OTHER)
        node = Node(
            self._names[module],
            kind,
            type(module).__name__.lower(),
            self._waiting,
            layer=module,
            pointwise=getattr(module, "kernel_size", None) == (1, 1),
        )
        if isinstance(module, _ACTIVATIONS):
            self._activation(node, module.forward, inputs[0])
        elif isinstance(module, _POOLINGS):
            node.function = module.forward
        self._add(node, tensors(inputs), output)

    def _activation(
        self, node: Node, function: Callable[[Any], Any], example: torch.Tensor
    ) -> None:
        self._inside += 1
        corner = example[:1, :, :1, :1] if example.ndim == 4 else example
        node.kind = NONZERO if function(torch.zeros_like(corner)).any() else ZERO
        self._inside -= 1
        # Dropout must not draw numbers elsewhere.
        if "dropout" not in node.operation:
            node.function = function

    def _add(self, node: Node, given: Sequence[torch.Tensor], result: Any) -> None:
        made = tensors(result)
        node.in_place = any(value is other for value in made for other in given)
        node.outputs = tuple(self._assign(value) for value in made)
        node.shape = tuple(made[0].shape)
        if len(node.shape) == 4 and node.kind != LINEAR:
            node.size = node.shape[2], node.shape[3]
        self.record.add(node)


def _is_one_node(module: nn.Module) -> bool:
    if isinstance(module, (*_ACTIVATIONS, ActivationMask)):
        return True
    is_container = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    brought = type(module).__module__.startswith("torch.nn.")
    is_layer = any(isinstance(module, classes) for classes, _ in _KINDS)
    return is_layer or (brought and not is_container and next(module.children(), None) is None)
