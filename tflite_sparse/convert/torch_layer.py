"""The PyTorch module that masks an activation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import as_mask


class ActivationMask(torch.nn.Module):  # type: ignore[misc]
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
