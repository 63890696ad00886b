"""Where in a PyTorch module the masks go, and running it with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.data import check_keeps_some
from tflite_sparse.convert.reference import Array
from tflite_sparse.convert.resolve import check_size, only_call
from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import Mask, MaskSet

# What may stand between a convolution and its mask.
_FOLLOWING = (
    "BatchNorm2d",
    "SyncBatchNorm",
    "Dropout",
    "Dropout2d",
    "ELU",
    "GELU",
    "Hardswish",
    "Identity",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
)


@dataclass
class Site:
    """A result that is masked: that of the ``call``-th call of ``module`` in a forward pass."""

    name: str
    module: Any
    call: int
    mask: Mask
    in_model: bool


def find_sites(module: Any, masks: MaskSet | None, inputs: Sequence[Any]) -> list[Site]:
    """The places of a module's own masks and of those given by name.

    Raises:
        MaskError: an unknown or ambiguous layer, a mask of another size, two masks for one layer.
    """
    from tflite_sparse.convert.torch_layer import ActivationMask

    sites = [
        Site(name, child, 0, child.mask[0, 0].cpu().numpy() != 0, in_model=True)
        for name, child in module.named_modules()
        if isinstance(child, ActivationMask)
    ]
    calls = _record_calls(module, inputs)
    where = type(module).__name__
    for name, mask in [] if masks is None else masks.items():
        call = _after_activation(only_call(name, calls, where), calls)
        last = calls[call]
        check_size(name, mask, last, last.shape[2:], where)
        index = sum(other.module is last.module for other in calls[:call])
        other = next((s for s in sites if s.module is last.module and s.call == index), None)
        if other is not None:
            raise MaskError(
                f"two masks for one layer of {where}: {other.name!r} and {name!r} both mask the "
                f"output of {last.names[0]!r}; give it one"
            )
        sites.append(Site(name, last.module, index, mask, in_model=False))
    for site in sites:
        check_keeps_some(site.name, site.mask)
    return [site for site in sites if not site.mask.all()]


def attached_sites(module: Any) -> list[Site]:
    """The masks that a sparsifier has attached, where they were in training."""
    from tflite_sparse.convert.torch_attached import attached_masks

    return [
        Site(attached.layer, attached.module, 0, attached.mask, in_model=False)
        for attached in attached_masks(module)
        if attached.mask is not None
    ]


def without(
    sites: Sequence[Site], masks: MaskSet | Mapping[str, npt.ArrayLike] | None
) -> MaskSet | None:
    """The masks of layers that are not sites yet.

    Raises:
        MaskError: a mask of a layer that is one, but another mask than the site's.
    """
    if masks is None:
        return None
    given = MaskSet(masks)
    for site in sites:
        if site.name in given and not np.array_equal(given[site.name], site.mask):
            raise MaskError(
                f"the mask given for layer {site.name!r} is not the one that its sparsifier put "
                "into the model; leave masks= out, or call the sparsifier's remove() first"
            )
    known = {site.name for site in sites}
    rest = {name: mask for name, mask in given.items() if name not in known}
    return MaskSet(rest) if rest else None


@dataclass
class _Call:
    """One call of a module without children, while the whole ran."""

    names: tuple[str]
    module: Any
    inputs: list[Any]
    output: Any
    shape: tuple[int, ...]


def _record_calls(module: Any, inputs: Sequence[Any]) -> list[_Call]:
    calls: list[_Call] = []
    hooks = []
    for name, child in module.named_modules():
        if next(child.children(), None) is not None:
            continue

        def record(child: Any, given: Any, output: Any, name: str = name) -> None:
            if hasattr(output, "shape"):
                # The tensors are kept, so that no other gets their identity.
                calls.append(_Call((name,), child, list(given), output, tuple(output.shape)))

        hooks.append(child.register_forward_hook(record))
    try:
        run(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _after_activation(index: int, calls: Sequence[_Call]) -> int:
    """The last of the BatchNorm and activation calls that alone read this result."""
    while True:
        output = calls[index].output
        readers = [
            i
            for i in range(index + 1, len(calls))
            if any(value is output for value in calls[i].inputs)
        ]
        if not readers or type(calls[readers[0]].module).__name__ not in _FOLLOWING:
            return index
        # An activation in place hands on the tensor it was given: its readers are the next ones.
        if len(readers) > 1 and calls[readers[0]].output is not output:
            return index
        index = readers[0]


@contextlib.contextmanager
def masked_forward(module: Any, sites: Sequence[Site], *, marked: bool) -> Iterator[None]:
    """The module with every mask in place; ``marked`` puts patterns in their stead.

    The patterns tell the masks apart in the converted graph, where names and
    order are the converter's; they are replaced by the masks afterwards.
    """
    import torch

    counts: dict[Any, int] = {}
    hooks = [module.register_forward_pre_hook(lambda *_: counts.clear())]
    kept: list[tuple[Any, Any]] = []
    by_module: dict[Any, dict[int, Any]] = {}
    for index, site in enumerate(sites):
        values = pattern(index, site) if marked else site.mask.astype(np.float32)
        factor = torch.from_numpy(values)[None, None]
        if site.in_model:
            kept.append((site.module, site.module.mask))
            site.module.mask = factor
        else:
            by_module.setdefault(site.module, {})[site.call] = factor
    for child, factors in by_module.items():

        def multiply(child: Any, given: Any, output: Any, factors: Any = factors) -> Any:
            call = counts[child] = counts.get(child, -1) + 1
            return output * factors[call] if call in factors else output

        hooks.append(child.register_forward_hook(multiply))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for child, mask in kept:
            child.mask = mask


def pattern(index: int, site: Site) -> Array:
    """2i + 2 everywhere but for one pixel: unlike any mask, and not one value throughout.

    A multiply by one value throughout would be folded into the weights.
    """
    if site.mask.size < 2:
        raise MaskError(
            f"layer {site.name!r} has a single pixel; a mask that removes it removes the layer. "
            "Leave that mask out"
        )
    values = np.full(site.mask.shape, 2 * index + 2, np.float32)
    values[0, 0] += 1
    return values


def run(module: Any, inputs: Sequence[Any]) -> Any:
    """The module's result, without gradients."""
    import torch

    with torch.no_grad():
        return module(*inputs)
