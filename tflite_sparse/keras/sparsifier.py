"""Training a Keras model with activation masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.keras.mask import ActivationMask, functional, insert_after
from tflite_sparse.keras.observer import ActivationObserver
from tflite_sparse.keras.record import input_specs, record_forward
from tflite_sparse.masks import MaskSet
from tflite_sparse.masks.patterns import DEFAULT_PATTERN
from tflite_sparse.places import CONV, Node, Place, Record, maskable_places, sparsity_of_places
from tflite_sparse.training.schedule import Schedule
from tflite_sparse.training.sparsifier import Sparsifier, checked_size, no_magnitudes


class ActivationSparsifier(Sparsifier, keras.callbacks.Callback):  # type: ignore[misc]
    """Trains a Keras model with activation masks: the paper's Algorithm 1.

    A callback of ``fit``, and the maker of the model to fit: ``sparsifier.model``
    has the layers of ``model`` (the same objects, so the weights are shared) and an
    :class:`ActivationMask` layer behind each chosen convolution's
    BatchNormalization and activation:

        sparsifier = ActivationSparsifier(model, 224, sparsity=0.3, total_steps=epochs * batches)
        sparsifier.model.compile(...)
        sparsifier.model.fit(images, labels, epochs=epochs, callbacks=[sparsifier])
        content = tflite_sparse.convert_keras(sparsifier.model)

    A model that already has ActivationMask layers keeps them and gets no others;
    that is the way for subclassed models. Masks are then named by these layers.

    The arguments are those of :class:`tflite_sparse.torch.ActivationSparsifier`,
    and the same seed gives the same masks, where layers are called in the same
    order. In ``fit``, steps are counted by themselves; in a loop of your own, call
    :meth:`step` after each batch.

    Args:
        model: a functional or sequential model, built, of fixed input size, channels last.
        input_size: height and width of the images; None takes the model's.
        sparsity: a number, ``{name or shell pattern: number}``, or a function of
            a convolution's name and output ``(H, W)``; 0 <= s < 1.
        total_steps: the training steps (batches) of the whole run.
        dense_until: the fraction of the run that is dense.
        freeze_from: the fraction of the run from which masks stay.
        power: of the polynomial by which sparsity rises.
        update_every: steps between two draws of masks.
        layers: ``"paper"`` (all convolutions but 1 x 1 shortcuts), ``"all"``, one or
            several shell patterns of names, or a function of name and layer.
        seed: of the masks.
        mask_source: ``"lattice"``, ``"alternating"``, ``"propagated"``, ``"independent"`` or
            ``"magnitude"``, as in PyTorch. Alternating phases need a model whose graph is
            known, functional or sequential: in others a residual sum is not seen.
        on_freeze: called with the sparsifier when the final masks have been drawn.

    Raises:
        OptionError: an option out of its range.
        MaskError: as for PyTorch; also a model that is neither functional nor
            sequential and has no ActivationMask layers.
    """

    def __init__(
        self,
        model: Any,
        input_size: int | tuple[int, int] | None,
        sparsity: float | Mapping[str, float] | Callable[[str, tuple[int, int]], float],
        total_steps: int,
        dense_until: float = 0.1,
        freeze_from: float = 0.9,
        power: float = 3,
        update_every: int = 1,
        layers: str | Sequence[str] | Callable[[str, Any], bool] = "paper",
        seed: int = 0,
        mask_source: str = DEFAULT_PATTERN,
        *,
        on_freeze: Callable[[ActivationSparsifier], object] | None = None,
    ) -> None:
        keras.callbacks.Callback.__init__(self)
        schedule = Schedule(total_steps, dense_until, freeze_from, power, update_every)
        where = repr(model.name)
        size = _input_size(model, input_size)
        own = _mask_layers(model)
        record = _record_of(own, where) if own else _record(model)
        places = maskable_places(record, layers)
        targets = sparsity_of_places(places, sparsity, where)
        masked = [place for place in places if place.name in targets]
        self._layers: dict[str, ActivationMask]
        self._meters: dict[str, _Meter] = {}
        self._masked_model = model
        if own:
            if mask_source == "magnitude":
                raise OptionError(
                    'mask_source="magnitude" measures what its own layers see; give it a model '
                    "without ActivationMask layers"
                )
            self._layers = {place.name: place.module for place in masked}
        else:
            self._layers = {p.name: ActivationMask(name=f"{p.name}_mask") for p in masked}
            if masked:
                self._masked_model = insert_after(
                    model, {p.anchor(exact=True)[0].layer: self._layers[p.name] for p in masked}
                )
        if mask_source == "magnitude":
            self._meters = {place.name: _Meter(place.size) for place in masked}
            self._observer = ActivationObserver(masked, self._measure, unmasked=True)
        self.set_model(self._masked_model)
        shapes = {place.name: place.size for place in masked}
        sums = record.sums(masked)
        self._start(shapes, targets, size, schedule, seed, mask_source, sums, on_freeze)

    def set_model(self, model: Any) -> None:
        """Called by ``fit``.

        Raises:
            MaskError: the model is not ``sparsifier.model``.
        """
        if model is not self._masked_model:
            raise MaskError(
                f"this callback belongs to its own model with masks, and {model.name!r} is not it; "
                "compile and fit sparsifier.model"
            )
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by ``fit``.

        Raises:
            OptionError: several steps run between two calls of a callback.
        """
        steps = getattr(self.model, "steps_per_execution", 1)
        if steps != 1:
            raise OptionError(
                f"masks change from step to step, but the model runs {steps} steps at a time; "
                "compile it with steps_per_execution=1"
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by ``fit``: one step is done."""
        self.step()

    def _apply(self, masks: MaskSet | None) -> None:
        for name, layer in self._layers.items():
            shape = self._shapes[name]
            layer.set_mask(np.ones(shape, np.bool_) if masks is None else masks[name])

    def _measure(self, place: Place, activation: Any, training: bool) -> None:
        if training:
            self._meters[place.name].add(activation)

    def _take_magnitudes(self) -> dict[str, npt.NDArray[Any]]:
        found = {}
        for name, meter in self._meters.items():
            if not float(meter.passes):
                raise no_magnitudes(name)
            found[name] = np.asarray(meter.total, np.float64) / float(meter.passes)
            meter.restart(np.zeros(self._shapes[name], np.float32), 0.0)
        return found

    def _magnitude_state(self) -> Any:
        return {
            name: [np.asarray(meter.total).tolist(), float(meter.passes)]
            for name, meter in self._meters.items()
        }

    def _load_magnitude_state(self, state: Any) -> None:
        for name, meter in self._meters.items():
            meter.restart(np.asarray(state[name][0], np.float32), state[name][1])


class _Meter:
    """Sums the magnitude of each pixel after activation, over training passes."""

    def __init__(self, size: tuple[int, int]) -> None:
        # Variables, so that a traced training step adds to them.
        self.total = keras.Variable(np.zeros(size, np.float32), trainable=False)
        self.passes = keras.Variable(0.0, trainable=False, dtype="float32")

    def add(self, activation: Any) -> None:
        """One more pass."""
        magnitude = keras.ops.mean(keras.ops.abs(activation), axis=(0, 3))
        self.total.assign_add(keras.ops.cast(magnitude, "float32"))
        self.passes.assign_add(1.0)

    def restart(self, total: npt.NDArray[np.float32], passes: float) -> None:
        """Go on from this sum over so many passes."""
        self.total.assign(total)
        self.passes.assign(passes)


def _input_size(model: Any, given: int | tuple[int, int] | None) -> tuple[int, int]:
    shapes = [tuple(value.shape) for value in keras.tree.flatten(getattr(model, "inputs", []))]
    images = [shape for shape in shapes if len(shape) == 4]
    wanted = None if given is None else checked_size(given)
    if not images:
        if wanted is None:
            raise MaskError(f"{model.name!r} has no image input [N, H, W, C]; give the input_size")
        return wanted
    found = images[0][1:3]
    if None in found:
        raise MaskError(
            f"{model.name!r} leaves its input size open: {list(images[0])}; masks need a fixed "
            "one. Build the model with Input((height, width, channels))"
        )
    if wanted is not None and wanted != found:
        raise MaskError(
            f"input_size={list(wanted)} does not fit {model.name!r}, whose input is "
            f"{list(images[0])}; expected {list(found)}"
        )
    return found


def _mask_layers(model: Any) -> list[ActivationMask]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, ActivationMask)]


def _record(model: Any) -> Record:
    functional(model)  # or there is no graph to put masks into
    return record_forward(
        model,
        [np.zeros([size or 1 for size in shape], dtype) for shape, dtype in input_specs(model)],
    )


def _record_of(layers: Sequence[ActivationMask], where: str) -> Record:
    """A record in which each mask layer is the convolution that it stands for."""
    nodes: list[Node] = []
    for layer in layers:
        if not layer.built:
            raise MaskError(
                f"the ActivationMask {layer.name!r} has no size yet; call the model once"
            )
        size = int(layer.mask.shape[0]), int(layer.mask.shape[1])
        nodes.append(
            Node(layer.name, CONV, "activationmask", (), (len(nodes),), size=size, layer=layer)
        )
    return Record(where, nodes)
