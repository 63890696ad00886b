"""One run in Keras, with `model.fit`."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np

from examples.fashion_mnist.data import BATCH, batches, pictures
from examples.fashion_mnist.keras_network import resnet
from examples.fashion_mnist.runs import Run
from tflite_sparse.keras import ActivationSparsifier


class KerasTrainer:
    """Trains the residual network of a run, an epoch at a time."""

    def __init__(self, run: Run, epochs: int) -> None:
        if run.start or run.penalty:
            raise SystemExit(f"error: {run.name}: penalties are trained in PyTorch here")
        self._run = run
        self._images, self._labels = pictures("train", run.size)
        self._test = pictures("t10k", run.size)
        self.steps = len(self._labels) // BATCH
        total = epochs * self.steps
        keras.utils.set_random_seed(run.seed)
        self._plain = resnet(run.width, run.size)
        self.sparsifier = ActivationSparsifier(
            self._plain,
            run.size,
            run.sparsity,
            total,
            freeze_from=run.freeze_from,
            mask_source=run.mask_source,
            seed=run.seed,
        )
        rate = keras.optimizers.schedules.CosineDecay(
            0.01, total - total // 5, warmup_target=0.2, warmup_steps=total // 5
        )
        self._model = self.sparsifier.model
        self._model.compile(
            keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def epoch(self, number: int) -> float:
        """Train on every picture once; returns the mean loss."""
        history = self._model.fit(
            batches(self._images, self._labels, self._run.seed, number),
            steps_per_epoch=self.steps,
            callbacks=[self.sparsifier],
            shuffle=False,
            verbose=0,
        )
        return float(history.history["loss"][0])

    def count_correct(self) -> int:
        """How many of the 10,000 test pictures are named rightly."""
        images, labels = self._test
        logits = self._model.predict(images, batch_size=500, verbose=0)
        return int((logits.argmax(1) == labels).sum())

    def save(self, path: Path) -> None:
        """Write all that a resumed run needs."""
        state = np.array(json.dumps(self.sparsifier.state_dict()))
        with path.open("wb") as file:
            np.savez(file, *[np.asarray(value) for value in self._variables()], sparsifier=state)

    def load(self, path: Path) -> None:
        """The opposite of `save`."""
        with np.load(path) as saved:
            for number, variable in enumerate(self._variables()):
                variable.assign(saved[f"arr_{number}"])
            self.sparsifier.load_state_dict(json.loads(str(saved["sparsifier"])))

    def save_weights(self, folder: Path) -> None:
        """Write what the trained network is, without its masks."""
        self._plain.save_weights(folder / "keras.weights.h5")

    def _variables(self) -> list[keras.Variable]:
        self._model.optimizer.build(self._model.trainable_variables)
        return [*self._model.variables, *self._model.optimizer.variables]
