"""The ReLUs of a PyTorch model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from tflite_sparse.errors import OptionError
from tflite_sparse.places import ZERO, Node, Place
from tflite_sparse.torch.record import record_forward
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU
from tflite_sparse.training.relus import relu_places

RELUS = (nn.ReLU, nn.ReLU6, ThresholdReLU, LearnableThresholdReLU)


class ThresholdHook(ThresholdReLU):
    """A forward hook: the threshold of a ReLU that is called as a function behind the module.

    A ReLU of its result gives the result itself.
    """

    is_active = True

    def __call__(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """The output where it is above the threshold."""
        return self.forward(output) if self.is_active else output


def threshold_hook(module: nn.Module) -> ThresholdHook | None:
    """The threshold behind a module, if there is one."""
    hooks = module._forward_hooks.values()
    return next((hook for hook in hooks if isinstance(hook, ThresholdHook)), None)


@contextlib.contextmanager
def without_thresholds(model: nn.Module) -> Iterator[None]:
    """The model while its ReLUs that are called as functions have no threshold."""
    found = [threshold_hook(module) for module in model.modules()]
    hooks = [hook for hook in found if hook is not None]
    for hook in hooks:
        hook.is_active = False
    try:
        yield
    finally:
        for hook in hooks:
            hook.is_active = True


def find_relus(model: nn.Module, example_inputs: Sequence[torch.Tensor] | None) -> list[Place]:
    """The places of a model's ReLUs: of its modules, with ``example_inputs`` of functions too.

    Raises:
        OptionError: there is none.
        MaskError: the model does not run on ``example_inputs``.
    """
    if example_inputs is not None:
        with without_thresholds(model):
            found = relu_places(record_forward(model, example_inputs))
    else:
        nodes = [
            Node(name, ZERO, type(module).__name__.lower(), layer=module)
            for name, module in model.named_modules()
            if isinstance(module, RELUS)
        ]
        found = [Place(node, [node]) for node in nodes]
    if not found:
        raise OptionError(
            f"{type(model).__name__} has no ReLU that can be reached; make them nn.ReLU modules, "
            "or give example_inputs, so that those called as functions are seen"
        )
    return found
