"""One run in PyTorch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from examples.fashion_mnist.data import BATCH, batches, pictures
from examples.fashion_mnist.networks import NETWORKS
from examples.fashion_mnist.runs import PENALTIES, Run
from tflite_sparse.masks import MaskSet
from tflite_sparse.torch import (
    ActivationRegularizer,
    ActivationSparsifier,
    set_thresholds,
)
from tflite_sparse.training import Star

TRAINED = Path(__file__).parent / "trained"


class TorchTrainer:
    """Trains the network of a run, an epoch at a time."""

    def __init__(self, run: Run, epochs: int, device: str) -> None:
        self._run = run
        self._device = torch.device(device)
        self._images, self._labels = pictures("train", run.size)
        self._test = pictures("t10k", run.size)
        self.steps = len(self._labels) // BATCH
        total = epochs * self.steps
        torch.manual_seed(run.seed)
        model = NETWORKS[run.network](run.width)
        if run.start:
            model.load_state_dict(torch.load(TRAINED / run.start / "weights.pt"))
        self.model = model.to(self._device, memory_format=torch.channels_last)
        if run.threshold:
            # Learned thresholds are parameters from the first step; fixed ones come with phase 2.
            set_thresholds(self.model, run.learnable * run.threshold, learnable=run.learnable)
        self.regularizer = ActivationRegularizer(
            self.model, PENALTIES[run.penalty or "l1"], run.weight
        )
        self._star = (
            Star(self.regularizer, self._set_threshold, total, t=run.threshold, weight=run.weight)
            if run.threshold
            else None
        )
        self._optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            max_lr=0.05 if run.start or run.network == "lenet5" else 0.2,
            total_steps=total,
            pct_start=0.2,
            cycle_momentum=False,
        )
        self.sparsifier = ActivationSparsifier(
            self.model,
            run.size,
            run.sparsity,
            total,
            dense_until=0.0 if run.start else 0.1,
            freeze_from=0.0 if run.start else run.freeze_from,
            mask_source=run.mask_source,
            seed=run.seed,
        )
        if run.start and (TRAINED / run.start / "masks.npz").exists():
            self.sparsifier.set_masks(MaskSet.load(TRAINED / run.start / "masks.npz"))
        # One pass over the activations instead of ten.
        self._step = torch.compile(self.model) if run.penalty else self.model
        self._stateful = {
            "model": self.model,
            "optimizer": self._optimizer,
            "rate": self._rate,
            "sparsifier": self.sparsifier,
        }
        if self._star is not None:
            self._stateful["star"] = self._star

    def epoch(self, number: int) -> float:
        """Train on every picture once; returns the mean loss."""
        self.model.train()
        losses = []
        for images, labels in batches(self._images, self._labels, self._run.seed, number):
            with torch.autocast(self._device.type, torch.bfloat16):
                logits = self._step(self._on_device(images))
            wanted = torch.from_numpy(labels).to(self._device)
            loss = nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=0.05)
            self._optimizer.zero_grad()
            (loss + self.regularizer.loss()).backward()
            self._optimizer.step()
            self._rate.step()
            self.sparsifier.step()
            if self._star is not None:
                self._star.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    @torch.no_grad()
    def count_correct(self) -> int:
        """How many of the 10,000 test pictures are named rightly, in single precision."""
        images, labels = self._test
        self.model.eval()
        found = [
            self.model(self._on_device(images[first : first + 500])).argmax(1).cpu()
            for first in range(0, len(labels), 500)
        ]
        return int((torch.cat(found).numpy() == labels).sum())

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs."""
        torch.save({name: part.state_dict() for name, part in self._stateful.items()}, path)

    def load(self, path: Path) -> None:
        """The opposite of `save`."""
        saved = torch.load(path, map_location=self._device)
        for name, part in self._stateful.items():
            part.load_state_dict(saved[name])

    def save_weights(self, folder: Path) -> None:
        """Write what the trained network is, without its masks."""
        torch.save(self.model.state_dict(), folder / "weights.pt")

    def _set_threshold(self, t: float) -> None:
        if not self._run.learnable:
            set_thresholds(self.model, t)

    def _on_device(self, images) -> torch.Tensor:
        # [N, H, W, 1] in memory is what channels_last means.
        return torch.from_numpy(images).permute(0, 3, 1, 2).to(self._device)
