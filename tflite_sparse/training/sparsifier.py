"""What the sparsifiers of PyTorch and Keras share: schedule, draws, state."""

from __future__ import annotations

import abc
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks import MaskSet
from tflite_sparse.training.draw import (
    check_mask_source,
    draw_by_magnitude,
    draw_pattern,
)
from tflite_sparse.training.schedule import Schedule

_STATE_VERSION = 1


class Sparsifier(abc.ABC):
    """The masks of one network in training. PyTorch and Keras put them into the network.

    Args:
        shapes: ``{layer: (H, W)}`` of the layers to mask, in the order of their calls.
        sparsity: ``{layer: final sparsity}``, each in (0, 1).
        input_size: the network's input, ``(H, W)``.
        schedule: when masks are drawn, and how sparse.
        seed: of all draws, at least 0.
        mask_source: one of :data:`tflite_sparse.training.draw.MASK_SOURCES`.
        sums: groups of layers whose outputs are added together.
        on_freeze: called once with the sparsifier when the final masks have been drawn.
    """

    def _start(
        self,
        shapes: Mapping[str, tuple[int, int]],
        sparsity: Mapping[str, float],
        input_size: tuple[int, int],
        schedule: Schedule,
        seed: int,
        mask_source: str,
        sums: Sequence[Sequence[str]],
        on_freeze: Callable[[Any], object] | None,
    ) -> None:
        check_mask_source(mask_source)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise OptionError(f"expected a seed that is a whole number from 0, found {seed!r}")
        self._shapes = dict(shapes)
        self._targets = dict(sparsity)
        self._input_size = input_size
        self._schedule = schedule
        self._seed = seed
        self._mask_source = mask_source
        self._sums = sums
        self._on_freeze = on_freeze
        self._step_count = 0
        self._masks: MaskSet | None = None
        self._update()

    @property
    def schedule(self) -> Schedule:
        """When masks are drawn, and how sparse they are."""
        return self._schedule

    @property
    def step_count(self) -> int:
        """How many training steps are done."""
        return self._step_count

    @property
    def frozen(self) -> bool:
        """Whether the masks are final."""
        return self._step_count >= self._schedule.freeze

    @property
    def mask_source(self) -> str:
        """Where masks come from."""
        return self._mask_source

    @property
    def sparsity(self) -> dict[str, float]:
        """The final sparsity of each masked layer."""
        return dict(self._targets)

    def step(self) -> None:
        """One training step is done: put the masks of the next one in place.

        Call it once after each ``optimizer.step()``.

        Raises:
            MaskError: processes that train together have drawn different masks, or masks by
                magnitude are due and no forward pass in training mode has been seen.
        """
        self._step_count += 1
        self._update()

    def masks(self) -> MaskSet:
        """The masks in force, by the names of their convolutions.

        After freezing they are the ones to convert with. Masks that keep every
        pixel are among them while training is dense.

        Raises:
            MaskError: every layer's final sparsity is 0, so there are no masks.
        """
        if not self._shapes:
            raise MaskError(
                "the sparsity of every layer is 0, so there are no masks; convert without"
            )
        if self._masks is not None:
            return self._masks
        return MaskSet(
            {name: np.ones(shape, np.bool_) for name, shape in self._shapes.items()}, sparsity=0.0
        )

    def set_masks(self, masks: Mapping[str, npt.ArrayLike]) -> None:
        """Put other masks in force, of exactly the layers of :meth:`masks`.

        They stay until the next draw; after freezing they stay for good.

        Raises:
            MaskError: other layers, or a mask of another size.
        """
        given = masks if isinstance(masks, MaskSet) else MaskSet(masks)
        if given.keys() != self._shapes.keys():
            odd = sorted(given.keys() ^ self._shapes.keys())[0]
            raise MaskError(
                f"expected masks for exactly the {len(self._shapes)} layers that are trained with "
                f"masks; {odd!r} is {'unknown' if odd in given else 'missing'}"
            )
        for name, mask in given.items():
            if mask.shape != self._shapes[name]:
                raise MaskError(
                    f"the mask of layer {name!r} has the shape {list(mask.shape)}, expected "
                    f"{list(self._shapes[name])}"
                )
        self._masks = given
        self._apply(given)

    def draw_candidate(self, candidate: int) -> MaskSet:
        """Other final masks of the same sparsity; 0 are the ones that freezing draws.

        Raises:
            OptionError: masks are chosen by magnitude, so there are no others.
        """
        if self._mask_source == "magnitude":
            raise OptionError(
                'mask_source="magnitude" gives one set of masks and not several to choose from; '
                "search among masks of another mask_source"
            )
        return self._draw_pattern(self._targets, self._schedule.freeze, candidate)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, as plain numbers, strings, lists and dicts (JSON too)."""
        masks = self._masks
        return {
            "version": _STATE_VERSION,
            "run": self._run(),
            "step": self._step_count,
            "masks": None
            if masks is None
            else {name: np.packbits(mask).tobytes().hex() for name, mask in masks.items()},
            "mask_seed": None if masks is None else masks.seed,
            "mask_sparsity": None if masks is None else masks.target_sparsity,
            "magnitudes": self._magnitude_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken: the same masks at every later step.

        Raises:
            MaskError: the state is of another run (the text names the difference)
                or of a newer version; nothing is changed then.
        """
        try:
            if state["version"] != _STATE_VERSION:
                raise MaskError(
                    f"expected a sparsifier's state of version {_STATE_VERSION}, found "
                    f"{state['version']}"
                )
            self._check_run(state["run"])
            step = int(state["step"])
            masks = None
            if state["masks"] is not None:
                masks = MaskSet(
                    {name: _unpack(state["masks"][name], s) for name, s in self._shapes.items()},
                    seed=state["mask_seed"],
                    sparsity=state["mask_sparsity"],
                )
            magnitudes = state["magnitudes"]
        except (KeyError, TypeError, IndexError) as error:
            raise MaskError(
                f"this is not what a sparsifier's state_dict() gives: {error!r}"
            ) from error
        self._load_magnitude_state(magnitudes)
        self._step_count = step
        self._masks = masks
        if self._shapes:
            self._apply(masks)

    def _run(self) -> dict[str, Any]:
        """What makes one run the same as another."""
        return {
            **asdict(self._schedule),
            "seed": self._seed,
            "mask_source": self._mask_source,
            "input_size": list(self._input_size),
            "layers": {name: list(shape) for name, shape in self._shapes.items()},
            "sparsity": dict(self._targets),
        }

    def _check_run(self, run: Mapping[str, Any]) -> None:
        for key, mine in self._run().items():
            if run[key] != mine:
                raise MaskError(
                    f"the state is of another run: it was made with {key}={run[key]!r}, this "
                    f"sparsifier has {key}={mine!r}; make it with the same arguments"
                )

    def _update(self) -> None:
        """Draw, where the step now reached asks for it."""
        step = self._step_count
        if not self._shapes or self._schedule.drawn_at(step) != step:
            return
        fraction = self._schedule.fraction(step)
        sparsity = {name: fraction * target for name, target in self._targets.items()}
        if self._mask_source != "magnitude":
            masks = self._draw_pattern(sparsity, step)
        elif fraction == 0.0:
            # The first draw keeps everything, and nothing has been measured yet.
            masks = MaskSet(
                {name: np.ones(shape, np.bool_) for name, shape in self._shapes.items()},
                sparsity=0.0,
            )
        else:
            masks = draw_by_magnitude(self._take_magnitudes(), sparsity)
        self._check_agreement(zlib.crc32(b"".join(mask.tobytes() for mask in masks.values())))
        self.set_masks(masks)
        if step == self._schedule.freeze and self._on_freeze is not None:
            self._on_freeze(self)

    def _draw_pattern(
        self, sparsity: Mapping[str, float], step: int, candidate: int = 0
    ) -> MaskSet:
        return draw_pattern(
            self._mask_source,
            self._shapes,
            self._input_size,
            sparsity,
            seed=self._seed,
            step=step,
            candidate=candidate,
            sums=self._sums,
        )

    @abc.abstractmethod
    def _apply(self, masks: MaskSet | None) -> None:
        """Put the masks into the network; None is dense."""

    @abc.abstractmethod
    def _take_magnitudes(self) -> dict[str, npt.NDArray[Any]]:
        """``{layer: [H, W]}``, mean magnitudes since the last call; which it resets."""

    @abc.abstractmethod
    def _magnitude_state(self) -> Any:
        """What has been measured so far, in plain types."""

    @abc.abstractmethod
    def _load_magnitude_state(self, state: Any) -> None:
        """The opposite of :meth:`_magnitude_state`."""

    def _check_agreement(self, digest: int) -> None:  # noqa: B027
        """Raise a MaskError if a process that trains with this one has other masks."""

    def agreed(self, loss: float) -> float:
        """A loss that all processes of the training agree on: their mean."""
        return loss


def checked_size(size: Any) -> tuple[int, int]:
    """``(H, W)`` of a size that is given so, or as one number for both.

    Raises:
        OptionError: anything else, or below 1.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(value, int) and value >= 1 for value in pair):
        raise OptionError(
            f"expected an input_size of one whole number from 1, or (height, width); found {size!r}"
        )
    return pair[0], pair[1]


def no_magnitudes(name: str) -> MaskError:
    """The error for masks by magnitude of which nothing was measured."""
    return MaskError(
        f'mask_source="magnitude" has seen no forward pass of layer {name!r} in training mode '
        "since the last draw; call step() once after each training step, with the model in train()"
    )


def _unpack(packed: str, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8))
    size = shape[0] * shape[1]
    if bits.size != -(-size // 8) * 8:
        raise MaskError(f"expected a packed mask of {size} pixels, found {bits.size} bits")
    mask: npt.NDArray[np.bool_] = bits[:size].reshape(shape).astype(np.bool_)
    return mask
