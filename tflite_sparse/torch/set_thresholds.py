"""Thresholds in the place of a PyTorch model's ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from tflite_sparse.errors import OptionError
from tflite_sparse.places import Place
from tflite_sparse.torch.record import unwrapped
from tflite_sparse.torch.relus import ThresholdHook, find_relus, threshold_hook
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU
from tflite_sparse.training.patterns import by_pattern
from tflite_sparse.training.threshold_search import EXPONENTS, ThresholdSearch, search


def set_thresholds(
    model: nn.Module,
    t: float | Mapping[str, float],
    *,
    learnable: bool = False,
    beta: float = 100.0,
    example_inputs: Sequence[torch.Tensor] | None = None,
) -> nn.Module:
    """Give the ReLUs of a model thresholds, or those that have them other ones.

    ``nn.ReLU`` and ``nn.ReLU6`` modules become :class:`ThresholdReLU` modules in place: names,
    hooks, masks and the optimiser stay as they are. ReLUs that are called as functions get their
    threshold behind the module before them, where ``example_inputs`` are given.

    Args:
        model: the model, or its ``torch.compile`` or DistributedDataParallel wrapper.
        t: the threshold of all, at least 0, where 0 is a ReLU; or ``{name or shell pattern of a
            ReLU: t}``, where the first match counts and ReLUs that none matches stay.
        learnable: whether thresholds are to be learned: :class:`LearnableThresholdReLU`, whose
            parameters ``t`` the optimiser has to be given.
        beta: of learnable ones, the steepness.
        example_inputs: what the model is called with once, so that ReLUs called as functions
            are seen; those are named by the module before them.

    Returns:
        ``model``.

    Raises:
        OptionError: a threshold out of its range, a pattern that matches nothing, a model
            without ReLUs, or a learnable threshold for a function.
        MaskError: the model does not run on ``example_inputs``.
    """
    places = {place.name: place for place in find_relus(unwrapped(model), example_inputs)}
    wanted = by_pattern(t, list(places), "thresholds")
    # All of them are checked before the first is changed.
    made = {name: _made(places[name], value, learnable, beta) for name, value in wanted.items()}
    for name, threshold in made.items():
        _put(places[name], threshold)
    return model


def thresholds_of(model: nn.Module) -> dict[str, float]:
    """The thresholds in force, by the name of the module; of learnable ones the mean."""
    found = {}
    for name, module in unwrapped(model).named_modules():
        hook = threshold_hook(module)
        holder = module if isinstance(module, (ThresholdReLU, LearnableThresholdReLU)) else hook
        if holder is not None:
            found[name] = holder.threshold
    return found


def search_thresholds(
    model: nn.Module,
    loss: Callable[[], float],
    budget: float,
    *,
    exponents: Sequence[int] = EXPONENTS,
    per_layer: bool = False,
    example_inputs: Sequence[torch.Tensor] | None = None,
) -> ThresholdSearch:
    """Find, without training, the largest thresholds of 2^n within a budget, and set them.

    First one for all ReLUs; then, with ``per_layer``, each is raised as far as the budget goes.

        def error():  # on held-out pictures, in evaluation mode
            return 1 - accuracy(model)

        search_thresholds(model, error, budget=0.002)

    Args:
        model: as for :func:`set_thresholds`.
        loss: evaluates the model as it now is, on held-out data; lower is better.
        budget: by how much the loss may rise, at least 0.
        exponents: the n to try, rising.
        per_layer: whether layers may differ.
        example_inputs: as for :func:`set_thresholds`.

    Raises:
        OptionError: as :func:`set_thresholds`; a negative budget, or a loss that is not finite.
        MaskError: the model does not run on ``example_inputs``.
    """
    names = [place.name for place in find_relus(unwrapped(model), example_inputs)]
    return search(
        names,
        lambda thresholds: set_thresholds(model, thresholds, example_inputs=example_inputs),
        loss,
        budget,
        exponents=exponents,
        per_layer=per_layer,
    )


def _made(place: Place, t: float, learnable: bool, beta: float) -> nn.Module:
    node = place.activation
    assert node is not None
    end = getattr(node.layer, "max_value", 6.0 if "relu6" in node.operation else None)
    if not learnable:
        return (ThresholdReLU if node.layer is not None else ThresholdHook)(t, end)
    if node.layer is None:
        raise OptionError(
            f"the ReLU behind {place.name!r} is called as a function and cannot learn a "
            "threshold; make it an nn.ReLU module"
        )
    device = next((p.device for p in place.module.parameters()), None)
    return LearnableThresholdReLU(t, beta, max_value=end).to(device or "cpu")


def _put(place: Place, threshold: nn.Module) -> None:
    module = place.module
    if isinstance(threshold, ThresholdHook):
        known = threshold_hook(module)
        if known is None:
            module.register_forward_hook(threshold)
        else:
            known.set_threshold(threshold.t)
    else:
        # The same object with another class: hooks, masks and other references to it stay.
        module.__class__ = type(threshold)
        own = ("t", "beta", "max_value", "_parameters")
        vars(module).update({k: v for k, v in vars(threshold).items() if k in own})
        vars(module).pop("inplace", None)
