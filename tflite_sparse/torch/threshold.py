"""ReLUs with a threshold, for PyTorch."""

from __future__ import annotations

import torch

from tflite_sparse.training.thresholds import checked_beta, checked_ceiling, checked_threshold


class ThresholdReLU(torch.nn.Module):  # type: ignore[misc]
    """``y = x`` where x > t, zero elsewhere (FATReLU); a ReLU for t = 0.

    It computes what the converted file does, so that the numbers are equal: ``a * min(ceil(relu(a
    - t)), 1)`` of ``a = relu(x)``. The subtraction is exact where it decides, next to t, and the
    factor is 0 or 1. Gradients pass where x > t.

    Args:
        t: the threshold, at least 0; powers of two need no rounding in any number format.
            :meth:`set_threshold` changes it; it is not in the state_dict.
        max_value: where the output ends, as in ReLU6; None has no end.

    Raises:
        OptionError: t negative or not finite, or a max_value that is not above it.

    Source: Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Neural Network
    Inference", ICML 2020, section 3.2.
    """

    def __init__(self, t: float, max_value: float | None = None) -> None:
        super().__init__()
        self.t = checked_threshold(t)
        self.max_value = checked_ceiling(max_value, self.t)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape to the same shape."""
        a = rectified(x, self.max_value)
        return a if self.t == 0 else a * above(a, self.t)

    @property
    def threshold(self) -> float:
        """The threshold, under the name that learnable ones have for their mean."""
        return self.t

    def set_threshold(self, t: float) -> None:
        """Change the threshold; a compiled model is compiled once more.

        Raises:
            OptionError: negative, not finite, or not below max_value.
        """
        checked_ceiling(self.max_value, checked_threshold(t))
        self.t = float(t)

    def extra_repr(self) -> str:
        """The parameters, for the model's printout."""
        return f"t={self.t}" + ("" if self.max_value is None else f", max_value={self.max_value}")


class LearnableThresholdReLU(torch.nn.Module):  # type: ignore[misc]
    """A ReLU whose threshold is learned: ``y = a sigmoid(beta (a - t))``, ``a = relu(x)``.

    In evaluation it is hard: ``y = a`` where a > t, zero elsewhere, as the converted file has it.

    Args:
        t: the threshold at the start, at least 0. It may become negative, which is a ReLU.
        beta: the steepness of the sigmoid, above 0.
        channels: of the input ``[N, C, ...]`` to have a threshold for each; None has one for all.
        max_value: where the output ends, as in ReLU6; None has no end.

    Raises:
        OptionError: t negative, beta not above 0, or a max_value not above t.

    Source: Zhu et al., "STAR: Sparse Thresholded Activation under partial-Regularization for
    Activation Sparsity Exploration", CVPR workshops 2023, the learnable threshold of table 7.
    """

    def __init__(
        self,
        t: float = 0.0,
        beta: float = 100.0,
        channels: int | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        self.t = torch.nn.Parameter(torch.full((channels or 1,), checked_threshold(t)))
        self.beta = checked_beta(beta)
        self.max_value = checked_ceiling(max_value, t)

    @property
    def threshold(self) -> float:
        """The mean of the thresholds."""
        return float(self.t.detach().clamp(min=0).mean())

    def set_threshold(self, t: float) -> None:
        """Give all channels this threshold.

        Raises:
            OptionError: negative, not finite, or not below max_value.
        """
        checked_ceiling(self.max_value, checked_threshold(t))
        with torch.no_grad():
            self.t.fill_(t)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, ...]`` to the same shape."""
        a = rectified(x, self.max_value)
        t = self.t.view(1, -1, *(1,) * (x.ndim - 2)).to(x.dtype)
        return a * (torch.sigmoid(self.beta * (a - t)) if self.training else above(a, t))

    def extra_repr(self) -> str:
        """The parameters, for the model's printout."""
        return f"beta={self.beta}, channels={self.t.numel()}"


def rectified(x: torch.Tensor, max_value: float | None) -> torch.Tensor:
    """``x`` limited to [0, max_value]."""
    return torch.relu(x) if max_value is None else torch.clamp(x, 0.0, max_value)


def above(a: torch.Tensor, t: float | torch.Tensor) -> torch.Tensor:
    """1 where ``a > t``, 0 elsewhere, without a gradient, in operations that .tflite runtimes have."""
    return torch.ceil(torch.relu(a.detach() - t)).clamp(max=1.0).detach()
