"""Training a PyTorch model with activation masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from tflite_sparse.errors import MaskError
from tflite_sparse.masks import MaskSet
from tflite_sparse.masks.patterns import DEFAULT_PATTERN
from tflite_sparse.places import Place, maskable_places, sparsity_of_places
from tflite_sparse.torch.mask import attach, attached, detach
from tflite_sparse.torch.observer import ActivationObserver
from tflite_sparse.torch.record import record_forward, unwrapped
from tflite_sparse.training.schedule import Schedule
from tflite_sparse.training.sparsifier import Sparsifier, checked_size, no_magnitudes


class ActivationSparsifier(Sparsifier):
    """Trains a PyTorch model with activation masks: the paper's Algorithm 1.

    Masks attach to the model in place; the training loop keeps calling the model,
    and :meth:`step` after each ``optimizer.step()``:

        sparsifier = ActivationSparsifier(model, 224, sparsity=0.3, total_steps=len(loader) * 90)
        for images, labels in batches:
            ...; optimizer.step(); sparsifier.step()
        content = tflite_sparse.convert_torch(model, (images[:1],))

    A mask follows the convolution and the BatchNorm (and activation)
    modules that alone read it. Activation functions that are 0 at 0 may follow
    in any form: masking before them gives the same numbers and gradients.

    Masks are in force in evaluation mode too. The model's own ``state_dict`` is
    the plain model's, without masks: save :meth:`state_dict` with it. Layers
    of sparsity 0 are left alone, and until masks are drawn nothing is computed.

    Works under ``torch.compile`` (one more compilation when masks begin; make the
    sparsifier before the compiled model first runs), autocast, and
    DistributedDataParallel (each process makes one, with the same seed).

    Args:
        model: the model, or its ``torch.compile`` or DistributedDataParallel wrapper.
        input_size: height and width of the images, ``(H, W)`` or one number for both.
        sparsity: the final fraction of masked pixels, 0 <= s < 1: a number;
            ``{name or shell pattern: number}``, where layers that none matches stay
            dense; or a function of a convolution's name and output ``(H, W)``.
        total_steps: the training steps of the whole run.
        dense_until: the fraction of the run that is dense.
        freeze_from: the fraction of the run from which masks stay.
        power: of the polynomial by which sparsity rises.
        update_every: steps between two draws of masks.
        layers: ``"paper"`` (all convolutions but 1 x 1 shortcuts), ``"all"``, one or
            several shell patterns of names, or a function of name and module.
        seed: of the masks. The same seed gives the same masks in Keras.
        mask_source: ``"lattice"``: see :func:`tflite_sparse.lattice_masks`; ``"alternating"``: the
            same with phases that alternate from layer to layer; ``"propagated"``: one random
            score map for all layers (the paper); ``"independent"``: a random mask for each
            layer; ``"magnitude"``: the pixels of lowest mean magnitude after activation since
            the last draw.
        example_inputs: what the model is called with once, to see its layers;
            one image of zeros by default.
        on_freeze: called with the sparsifier when the final masks have been drawn;
            the place for :func:`tflite_sparse.training.search_masks`.

    Raises:
        OptionError: an option out of its range.
        MaskError: a sparsity outside [0, 1), no convolution, names that match
            nothing, an input that does not fit, or a place that cannot be told.

    Source: Grimaldi et al., "Accelerating Deep Neural Networks via Semi-Structured
    Activation Sparsity", ICCV workshops 2023, Algorithm 1 and section 3.1.
    """

    def __init__(
        self,
        model: nn.Module,
        input_size: int | tuple[int, int],
        sparsity: float | Mapping[str, float] | Callable[[str, tuple[int, int]], float],
        total_steps: int,
        dense_until: float = 0.1,
        freeze_from: float = 0.9,
        power: float = 3,
        update_every: int = 1,
        layers: str | Sequence[str] | Callable[[str, nn.Module], bool] = "paper",
        seed: int = 0,
        mask_source: str = DEFAULT_PATTERN,
        *,
        example_inputs: Sequence[torch.Tensor] | None = None,
        on_freeze: Callable[[ActivationSparsifier], object] | None = None,
    ) -> None:
        schedule = Schedule(total_steps, dense_until, freeze_from, power, update_every)
        size = checked_size(input_size)
        plain = unwrapped(model)
        where = type(plain).__name__
        if not any(isinstance(module, nn.Conv2d) for module in plain.modules()):
            raise MaskError(f"{where} has no Conv2d, so there is nothing to mask")
        inputs = [_image(plain, size)] if example_inputs is None else example_inputs
        record = record_forward(plain, inputs)
        places = maskable_places(record, layers)
        targets = sparsity_of_places(places, sparsity, where)
        masked = [place for place in places if place.name in targets]
        self._model = plain
        # Where a mask goes when there is none yet.
        self._convs = {place.name: place.module for place in masked}
        names = tuple(self._convs)
        self._hooks = {place.name: attach(place, names) for place in masked}
        self._removed = False
        self._meters: dict[str, _Meter] = {}
        self._observer: ActivationObserver | None = None
        if mask_source == "magnitude":
            self._meters = {place.name: _Meter(place) for place in masked}
            self._observer = ActivationObserver(masked, self._measure, unmasked=True)
        shapes = {place.name: place.size for place in masked}
        sums = record.sums(masked)
        self._start(shapes, targets, size, schedule, seed, mask_source, sums, on_freeze)

    def remove(self) -> None:
        """Take the masks out of the model; :meth:`masks` still has them.

        The model then is the plain one with the trained weights; training is over.
        """
        detach(self._model, list(self._hooks.values()))
        if self._observer is not None:
            self._observer.remove()
        self._hooks, self._meters, self._observer = {}, {}, None
        self._removed = True

    def step(self) -> None:  # noqa: D102 (inherited)
        if self._removed:
            raise MaskError("the masks were taken out of the model by remove(); make a new one")
        present = attached(self._model)
        for name, hook in self._hooks.items():
            if hook not in present:
                raise MaskError(
                    f"the mask of layer {name!r} is no longer in the model: the module that had it "
                    "was replaced after the sparsifier was made; change the model (fuse_modules, "
                    "another BatchNorm or activation) before that"
                )
        super().step()

    def _apply(self, masks: MaskSet | None) -> None:
        tensors: dict[tuple[bytes, tuple[int, ...], torch.device], torch.Tensor] = {}
        for name, hook in self._hooks.items():
            mask = None if masks is None else masks[name]
            if mask is None:
                hook.reset()
                continue
            if mask.all():
                hook.set_mask(None)
                continue
            device = self._convs[name].weight.device
            key = mask.tobytes(), mask.shape, device
            if key not in tensors:
                tensors[key] = torch.from_numpy(mask.copy()).to(device)
            hook.set_mask(tensors[key])

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _measure(self, place: Place, activation: torch.Tensor, training: bool) -> None:
        if training:
            self._meters[place.name].add(activation.detach())

    def _take_magnitudes(self) -> dict[str, npt.NDArray[Any]]:
        return {name: meter.take() for name, meter in self._meters.items()}

    def _magnitude_state(self) -> Any:
        return {name: [m.total.tolist(), m.passes] for name, m in self._meters.items()}

    def _load_magnitude_state(self, state: Any) -> None:
        for name, meter in self._meters.items():
            meter.total = torch.tensor(state[name][0], dtype=torch.float64)
            meter.passes = int(state[name][1])

    def _check_agreement(self, digest: int) -> None:
        if not _distributed() or not self._convs:
            return
        device = next(iter(self._convs.values())).weight.device
        both = torch.tensor([digest, -digest], dtype=torch.int64, device=device)
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
        if int(both[0]) != -int(both[1]):
            raise MaskError(
                f"the processes of this training drew different masks at step {self.step_count}; "
                "make the sparsifier with the same arguments, seed above all, and call step() "
                "equally often in each"
            )

    def agreed(self, loss: float) -> float:
        """The mean of a loss over the processes that train together."""
        if not _distributed() or not self._convs:
            return loss
        device = next(iter(self._convs.values())).weight.device
        total = torch.tensor([loss], dtype=torch.float32, device=device)
        torch.distributed.all_reduce(total)
        return float(total[0]) / float(torch.distributed.get_world_size())


class _Meter:
    """Sums the magnitude of each pixel after activation, over training passes."""

    def __init__(self, place: Place) -> None:
        self.layer = place.name
        self.total = torch.zeros(place.size, dtype=torch.float64)
        self.passes = 0

    def add(self, activation: torch.Tensor) -> None:
        """One more pass."""
        magnitude = activation.abs().mean((0, 1), dtype=torch.float64)
        self.total = self.total.to(magnitude.device) + magnitude
        self.passes += 1

    def take(self) -> npt.NDArray[Any]:
        """The mean since the last call, over all processes that train together."""
        if not self.passes:
            raise no_magnitudes(self.layer)
        if _distributed():
            torch.distributed.all_reduce(self.total)
        mean: npt.NDArray[Any] = (self.total / self.passes).cpu().numpy()
        self.total = torch.zeros_like(self.total)
        self.passes = 0
        return mean


def _image(model: nn.Module, size: tuple[int, int]) -> torch.Tensor:
    conv = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    return torch.zeros(
        1, conv.in_channels, *size, device=conv.weight.device, dtype=conv.weight.dtype
    )


def _distributed() -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())
