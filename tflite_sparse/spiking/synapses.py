"""Connections between layers of neurons: linear maps, and how many synapses each spike reaches."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class View:
    """What stands between a layer of neurons and the synapses that read it: flatten, max pooling.

    A view is a function of how often each neuron has spiked so far. Both functions give integers
    that grow by 0 or 1 in a step where those that they are given do, so the differences are spikes:
    max pooling passes a spike on whenever the largest count of its window grows.

    Attributes:
        operation: as the record names it.
        function: from counts ``[N, ...]`` to counts; a number for a number of the same type.
    """

    operation: str
    function: Callable[[torch.Tensor], torch.Tensor]


class Synapses(nn.Module, abc.ABC):  # type: ignore[misc]
    """All connections from one layer, or from the input, to another layer.

    Attributes:
        name: of the PyTorch layer or function that they are.
        source: the index of the layer whose spikes they pass on; None for the network's input,
            whose values are constant currents.
        views: what is applied to the counts of the source's spikes, or to the input's values.
    """

    def __init__(self, name: str, source: int | None, views: Sequence[View]) -> None:
        super().__init__()
        self.name = name
        self.source = source
        self.views = tuple(views)

    def view(self, values: torch.Tensor) -> torch.Tensor:
        """What the synapses read of their source."""
        for view in self.views:
            values = view.function(values)
        return values

    @abc.abstractmethod
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The currents ``[N, ...]`` that viewed values or spikes ``[N, ...]`` give."""

    @abc.abstractmethod
    def fan_out(self, shape: Sequence[int]) -> torch.Tensor:
        """How many synapses with a nonzero weight a spike of each viewed element reaches.

        Args:
            shape: of what is read, without the batch.

        Returns:
            float64 of this shape, holding integers.
        """

    @abc.abstractmethod
    def scale(self, factor: float | torch.Tensor) -> None:
        """Multiply the weights; a tensor ``[C]`` has a factor for each channel that is reached."""


class Weighted(Synapses):
    """Synapses with a matrix or kernels of weights.

    Attributes:
        mask: the neurons that are reached, ``[1, 1, H, W]`` of 0 and 1; None where all are.
    """

    weight: torch.Tensor
    mask: torch.Tensor | None

    def __init__(
        self, name: str, source: int | None, views: Sequence[View], weight: torch.Tensor
    ) -> None:
        super().__init__(name, source, views)
        self.register_buffer("weight", weight.detach().clone())
        self.register_buffer("mask", None)

    @abc.abstractmethod
    def product(self, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The map with these weights."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """See :class:`Synapses`."""
        return self._reaching(self.product(values, self.weight))

    def _reaching(self, currents: torch.Tensor) -> torch.Tensor:
        return currents if self.mask is None else currents * self.mask

    def fan_out(self, shape: Sequence[int]) -> torch.Tensor:
        """See :class:`Synapses`: the transposed map, with weights of 1, of ones."""
        ones = (self.weight != 0).double()

        def reached(values: torch.Tensor) -> torch.Tensor:
            return self._reaching(self.product(values, ones)).sum()

        at = torch.zeros((1, *shape), dtype=torch.float64, device=self.weight.device)
        counts: torch.Tensor = torch.func.grad(reached)(at)[0]
        return counts.round()

    def scale(self, factor: float | torch.Tensor) -> None:
        """See :class:`Synapses`."""
        if isinstance(factor, torch.Tensor):
            factor = factor.view(-1, *(1,) * (self.weight.ndim - 1))
        self.weight *= factor


class Convolution(Weighted):
    """The synapses of an ``nn.Conv2d``."""

    def __init__(
        self, name: str, source: int | None, views: Sequence[View], module: nn.Conv2d
    ) -> None:
        super().__init__(name, source, views, module.weight)
        self.options: dict[str, Any] = {
            option: getattr(module, option)
            for option in ("stride", "padding", "dilation", "groups")
        }

    def product(self, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` to ``[N, C', H', W']``."""
        return functional.conv2d(values, weight, **self.options)


class Dense(Weighted):
    """The synapses of an ``nn.Linear``."""

    def product(self, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """``[N, ..., C]`` to ``[N, ..., C']``."""
        return functional.linear(values, weight)


class _Fixed(Synapses):
    """Synapses without weights of their own: one gain, or one for each channel."""

    gain: torch.Tensor

    def __init__(
        self, name: str, source: int | None, views: Sequence[View], like: torch.Tensor
    ) -> None:
        super().__init__(name, source, views)
        self.register_buffer("gain", torch.ones(1, dtype=like.dtype, device=like.device))

    def amplified(self, values: torch.Tensor) -> torch.Tensor:
        """``[N, C, ...]`` times the gain."""
        return values * self.gain.view(1, -1, *(1,) * (values.ndim - 2))

    def scale(self, factor: float | torch.Tensor) -> None:
        """See :class:`Synapses`."""
        self.gain = self.gain * factor


class OneToOne(_Fixed):
    """A shortcut: each neuron reads the one at its own place."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values times the gain."""
        return self.amplified(values)

    def fan_out(self, shape: Sequence[int]) -> torch.Tensor:
        """See :class:`Synapses`."""
        at = torch.ones((1, *shape), dtype=torch.float64, device=self.gain.device)
        reached: torch.Tensor = (self.amplified(at)[0] != 0).double()
        return reached


class AveragePooling(_Fixed):
    """The synapses of an average pooling: the same small weight for each element of a window."""

    def __init__(
        self,
        name: str,
        source: int | None,
        views: Sequence[View],
        like: torch.Tensor,
        function: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__(name, source, views, like)
        self.function = function

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``[N, C, H, W]`` to ``[N, C, H', W']``."""
        return self.amplified(self.function(values))

    def windows(self, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Which rows, and which columns, each row and column of the result averages.

        Windows are products of the two. float64 ``[H, H']`` and ``[W, W']`` of 0 and 1.
        """
        options = {"dtype": torch.float64, "device": self.gain.device}
        rows = torch.eye(height, **options)[:, None, :, None].expand(-1, 1, -1, width)
        columns = torch.eye(width, **options)[:, None, None, :].expand(-1, 1, height, -1)
        read_by_rows = (self.function(rows)[:, 0] != 0).any(2)
        read_by_columns = (self.function(columns)[:, 0] != 0).any(1)
        return read_by_rows.double(), read_by_columns.double()

    def fan_out(self, shape: Sequence[int]) -> torch.Tensor:
        """See :class:`Synapses`."""
        channels, height, width = shape
        rows, columns = self.windows(height, width)
        counts: torch.Tensor = rows.sum(1)[:, None] * columns.sum(1)
        reached = (self.gain != 0).double().expand(channels)[:, None, None]
        return counts * reached
