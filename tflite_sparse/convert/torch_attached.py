"""Masks attached to the modules of a PyTorch model, which otherwise stays as it is.

The mask is a buffer of the module whose output it masks, so it moves with the
model, and is not in the model's state_dict, whose keys stay the plain model's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import Mask

_BUFFER = "activation_mask"


class MaskHook:
    """A forward hook that sets the masked pixels of a module's output ``[N, C, H, W]`` to zero.

    It belongs to one convolution, named ``layer``, with an output of ``size``
    ``(H, W)``. While the module's mask is None it hands its output on.
    """

    def __init__(self, layer: str, size: tuple[int, int]) -> None:
        self.layer = layer
        self.size = size

    def __call__(self, module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """The masked output.

        Raises:
            MaskError: the output's height and width are not ``size``.
        """
        if output.ndim != 4 or output.shape[2] != self.size[0] or output.shape[3] != self.size[1]:
            raise MaskError(
                f"the mask of layer {self.layer!r} has the size {list(self.size)}, but this batch "
                f"gives it {list(output.shape)}; a mask needs the same input size in every batch: "
                "resize or crop the images to the sparsifier's input_size, or leave this layer out "
                "through layers="
            )
        mask = getattr(module, _BUFFER)
        # A selection, so that no infinity or NaN of a masked pixel stays.
        return output if mask is None else torch.where(mask, output, 0.0)


@dataclass
class AttachedMask:
    """The mask of the convolution ``layer``, on the output of ``module``."""

    layer: str
    module: Any

    @property
    def mask(self) -> Mask | None:
        """``[H, W]``, or None where every pixel is kept."""
        value = getattr(self.module, _BUFFER)
        return None if value is None else value[0, 0].cpu().numpy()

    def set(self, mask: torch.Tensor | None) -> None:
        """Put a bool mask ``[H, W]`` in force; None keeps every pixel."""
        value = getattr(self.module, _BUFFER)
        if mask is None or value is None:
            setattr(self.module, _BUFFER, None if mask is None else mask[None, None].clone())
        else:
            # In place, so that a compiled model sees it without being compiled again.
            value.copy_(mask[None, None])


def attach(layer: str, module: Any, size: tuple[int, int]) -> AttachedMask:
    """Attach a mask that keeps every pixel.

    Raises:
        MaskError: the module has one already.
    """
    if hasattr(module, _BUFFER):
        raise MaskError(
            f"the output of layer {layer!r} already has a mask attached; remove() the other "
            "sparsifier first"
        )
    module.register_buffer(_BUFFER, None, persistent=False)
    module.register_forward_hook(MaskHook(layer, size))
    return AttachedMask(layer, module)


def detach(attached: AttachedMask) -> None:
    """Leave the module as it was before :func:`attach`."""
    hooks = attached.module._forward_hooks
    for key in [key for key, hook in hooks.items() if isinstance(hook, MaskHook)]:
        del hooks[key]
    delattr(attached.module, _BUFFER)


def attached_masks(model: Any) -> list[AttachedMask]:
    """The masks attached to a model's modules."""
    return [
        AttachedMask(hook.layer, child)
        for child in model.modules()
        for hook in child._forward_hooks.values()
        if isinstance(hook, MaskHook)
    ]


@contextlib.contextmanager
def unmasked(model: Any) -> Iterator[None]:
    """The model with every attached mask keeping all pixels."""
    kept = [(attached, getattr(attached.module, _BUFFER)) for attached in attached_masks(model)]
    for attached, _ in kept:
        attached.set(None)
    try:
        yield
    finally:
        for attached, value in kept:
            setattr(attached.module, _BUFFER, value)
