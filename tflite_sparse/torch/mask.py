"""Masks in a PyTorch model: a module of their own, or hooks that leave the model as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import Mask, as_mask
from tflite_sparse.places import Place


class ActivationMask(nn.Module):  # type: ignore[misc]
    """Multiplies its input ``[N, C, H, W]`` by a mask of its pixels.

    Put it after a convolution's BatchNorm and activation; or right behind the
    convolution for a network that was trained so. The mask is a buffer: it is saved
    and loaded with the module, and :meth:`set_mask` changes it during training.

    Args:
        mask: binary ``[H, W]``, 1 = kept.

    Raises:
        MaskError: the mask is not binary.
    """

    mask: torch.Tensor

    def __init__(self, mask: npt.ArrayLike) -> None:
        super().__init__()
        values = as_mask(mask, type(self).__name__).astype(np.float32)
        self.register_buffer("mask", torch.from_numpy(values)[None, None])

    def set_mask(self, mask: npt.ArrayLike) -> None:
        """Replace the mask; ``[H, W]`` as before.

        Raises:
            MaskError: not binary, or not of the same height and width.
        """
        values = as_mask(mask, type(self).__name__)
        if values.shape != tuple(self.mask.shape[2:]):
            raise MaskError(
                f"the new mask has the shape {list(values.shape)}, expected "
                f"{list(self.mask.shape[2:])}"
            )
        self.mask.copy_(torch.from_numpy(values.astype(np.float32))[None, None])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """``inputs`` where the mask is 1, zero elsewhere.

        Raises:
            MaskError: the input's height and width are not the mask's.
        """
        if inputs.shape[2:] != self.mask.shape[2:]:
            raise MaskError(
                f"the mask has the shape {list(self.mask.shape[2:])}, its input "
                f"{list(inputs.shape)}; expected [N, C, H, W] of the mask's H and W"
            )
        return inputs * self.mask.to(inputs.dtype)


class MaskHook:
    """A forward hook that sets the masked pixels of a module's output ``[N, C, H, W]`` to zero.

    The mask is the hook's and not a buffer of the module, whose state, parameters and buffers
    stay what they were. It belongs to the convolution ``layer``, with an output of ``size``
    ``(H, W)``. A copy of the model has a copy of the hook.

    Attributes:
        together: all layers that were given masks together with this one, by which a
            conversion sees that one of them is lost.
        is_set: whether a mask was ever put in force; until then training is dense.
        factor: what the output is multiplied by in place of the mask, ``[1, 1, H, W]``;
            conversion marks places so.
    """

    def __init__(self, layer: str, size: tuple[int, int], together: tuple[str, ...]) -> None:
        self.layer = layer
        self.size = size
        self.together = together
        self.is_set = False
        self.factor: torch.Tensor | None = None
        self._mask: torch.Tensor | None = None

    @property
    def mask(self) -> Mask | None:
        """``[H, W]``, or None where every pixel is kept."""
        return None if self._mask is None else self._mask[0, 0].cpu().numpy()

    @property
    def tensor(self) -> torch.Tensor | None:
        """``[1, 1, H, W]`` on its device, or None where every pixel is kept."""
        return self._mask

    @property
    def __name__(self) -> str:
        # What torch.jit.script asks of a hook first.
        raise AttributeError(
            f"torch.jit.script cannot compile the mask of layer {self.layer!r}; remove() the "
            "sparsifier first, use torch.compile, or convert with tflite_sparse.torch.convert"
        )

    def set_mask(self, mask: torch.Tensor | None) -> None:
        """Put a bool mask ``[H, W]`` in force; None keeps every pixel."""
        self.is_set = True
        if mask is None or self._mask is None or self._mask.device != mask.device:
            self._mask = None if mask is None else mask[None, None].clone()
        else:
            # In place, so that a compiled model sees it without being compiled again.
            self._mask.copy_(mask[None, None])

    def reset(self) -> None:
        """Dense, as before the first mask."""
        self._mask, self.is_set = None, False

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
        if self.factor is not None:
            return output * self.factor
        if self._mask is None:
            return output
        if self._mask.device != output.device:
            self._mask = self._mask.to(output.device)
        # A selection, so that no infinity or NaN of a masked pixel stays.
        return torch.where(self._mask, output, 0.0)


def attach(place: Place, together: tuple[str, ...]) -> MaskHook:
    """Attach a mask that keeps every pixel behind a place; returns its hook.

    It is the first of the module's hooks, so that others see the masked output.

    Raises:
        MaskError: the place has a mask already, or cannot have one.
    """
    module = place.anchor(exact=True)[0].layer
    if place.mask is not None:
        raise MaskError(
            f"layer {place.name!r} has the ActivationMask {place.mask.name!r} already; take that "
            "out, or leave the layer out through layers="
        )
    if any(isinstance(hook, MaskHook) for hook in module._forward_hooks.values()):
        raise MaskError(
            f"the output of layer {place.name!r} already has a mask attached; remove() the other "
            "sparsifier first"
        )
    hook = MaskHook(place.name, place.size, together)
    module.register_forward_hook(hook, prepend=True)
    return hook


def attached(model: nn.Module) -> list[MaskHook]:
    """The masks attached to a model's modules, in the modules' order."""
    return [
        hook
        for child in model.modules()
        for hook in child._forward_hooks.values()
        if isinstance(hook, MaskHook)
    ]


def mask_at(place: Place) -> torch.Tensor | None:
    """The mask in force at a place, bool ``[1, 1, H, W]``; None where every pixel is kept."""
    if place.mask is not None:
        return place.mask.layer.mask != 0
    module = place.anchor(exact=False)[0].layer
    hooks = (hook for hook in module._forward_hooks.values() if isinstance(hook, MaskHook))
    return next((hook.tensor for hook in hooks), None)


def detach(model: nn.Module, hooks: list[MaskHook]) -> None:
    """Take these masks out of a model."""
    for child in model.modules():
        found = child._forward_hooks
        for key in [key for key, hook in found.items() if hook in hooks]:
            del found[key]
