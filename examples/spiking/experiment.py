"""One run: train, convert, simulate, count."""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from examples.fashion_mnist.networks import lenet5
from examples.spiking.data import Split, load
from examples.spiking.runs import LONG, PENALTIES, SIMULATED, STEPS, Run
from tflite_sparse import spiking
from tflite_sparse.torch import ActivationRegularizer, measure_activity

BATCH = 128
RATE = 1e-4
#: Training images that scales are taken from.
CALIBRATION = 1_000


def perceptron() -> nn.Module:
    """784-300-100-10."""
    layers = (nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    return nn.Sequential(nn.Flatten(), *layers)


def run(what: Run, device: str) -> dict[str, Any]:
    """Train and measure; the record that the tables are made of.

    Accuracies are shares of the simulated test images, but for `test_accuracy`, which is of all;
    spikes, synaptic operations and effective multiply-accumulates are means per image.
    """
    train, test = _load(what.data)
    model = _trained(what, train, device)
    images, labels = (part[: SIMULATED[what.network]] for part in test)
    network = spiking.convert(model, train[0][:CALIBRATION].to(device))
    found = spiking.simulate(network, images, STEPS, progress=False)
    over_time = found.predictions_over_time
    if not what.penalty:
        over_time = spiking.simulate(network, images, LONG, progress=False).predictions_over_time
    activity = measure_activity(model, images[:CALIBRATION].to(device).split(250))
    return {
        **asdict(what),
        "test_accuracy": _accuracy(model, *test),
        "accuracy": _accuracy(model, images, labels),
        "macs_effective": activity.totals.macs_effective,
        "spikes": float(found.spikes.mean()),
        "synops": float(found.synops.mean()),
        "accuracy_over_time": np.round((over_time == labels.numpy()).mean(1), 5).tolist(),
        "synops_over_time": np.round(found.synops_over_time.mean(1), 1).tolist(),
    }


def _trained(what: Run, train: Split, device: str) -> nn.Module:
    torch.manual_seed(what.seed)
    model = (perceptron() if what.network == "perceptron" else lenet5(16)).to(device)
    penalty = None
    if what.penalty:
        penalty = ActivationRegularizer(model, PENALTIES[what.penalty], what.weight)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    images, labels = train[0].to(device), train[1].to(device)
    for _ in range(what.epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            if penalty is not None:
                loss = loss + penalty.loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if penalty is not None:
        penalty.remove()
    return model.eval()


@torch.no_grad()
def _accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    device = next(model.parameters()).device
    found = [model(batch.to(device)).argmax(1).cpu() for batch in images.split(500)]
    return float((torch.cat(found) == labels).double().mean())


@functools.lru_cache(1)
def _load(name: str) -> tuple[Split, Split]:
    return load(name)
