"""ReLUs with a threshold, for Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tflite_sparse.training.thresholds import checked_beta, checked_ceiling, checked_threshold


@keras.saving.register_keras_serializable("tflite_sparse")
class ThresholdReLU(keras.layers.Layer):  # type: ignore[misc]
    """``y = x`` where x > t, zero elsewhere (FATReLU); a ReLU for t = 0.

    It computes what the converted file does, so that the numbers are equal: ``a * min(ceil(relu(a
    - t)), 1)`` of ``a = relu(x)``. The subtraction is exact where it decides, next to t, and the
    factor is 0 or 1. Gradients pass where x > t.

    Args:
        t: the threshold, at least 0; powers of two need no rounding in any number format.
            :meth:`set_threshold` changes it during training, in a running ``fit`` too.
        max_value: where the output ends, as in ReLU6; None has no end.

    Raises:
        OptionError: t negative or not finite, or a max_value that is not above it.

    Source: Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Neural Network
    Inference", ICML 2020, section 3.2.
    """

    def __init__(self, t: float, max_value: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.max_value = checked_ceiling(max_value, checked_threshold(t))
        # A weight, so that a compiled training step sees it change; saved with the model.
        self._t = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(t),
            trainable=False,
            dtype="float32",
            name="t",
        )

    @property
    def t(self) -> float:
        """The threshold."""
        return float(self._t)

    @property
    def threshold(self) -> float:
        """The threshold, under the name that learnable ones have for their mean."""
        return self.t

    def set_threshold(self, t: float) -> None:
        """Change the threshold.

        Raises:
            OptionError: negative, not finite, or not below max_value.
        """
        checked_ceiling(self.max_value, checked_threshold(t))
        self._t.assign(t)

    def call(self, x: Any) -> Any:
        """Any shape to the same shape."""
        a = rectified(x, self.max_value)
        return a * above(a, ops.cast(self._t, a.dtype))

    def get_config(self) -> dict[str, Any]:
        """What makes the layer again."""
        return {**super().get_config(), "t": self.t, "max_value": self.max_value}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape


@keras.saving.register_keras_serializable("tflite_sparse")
class LearnableThresholdReLU(keras.layers.Layer):  # type: ignore[misc]
    """A ReLU whose threshold is learned: ``y = a sigmoid(beta (a - t))``, ``a = relu(x)``.

    Outside of training it is hard: ``y = a`` where a > t, zero elsewhere, as the converted file
    has it.

    Args:
        t: the threshold at the start, at least 0. It may become negative, which is a ReLU.
        beta: the steepness of the sigmoid, above 0.
        channels: of the input ``[N, ..., C]`` to have a threshold for each; None has one for all.
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
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.start = checked_threshold(t)
        self.beta = checked_beta(beta)
        self.channels = channels
        self.max_value = checked_ceiling(max_value, t)
        self.t = self.add_weight(
            shape=(channels or 1,), initializer=keras.initializers.Constant(t), name="t"
        )

    @property
    def threshold(self) -> float:
        """The mean of the thresholds."""
        return float(ops.mean(ops.maximum(self.t, 0.0)))

    def set_threshold(self, t: float) -> None:
        """Give all channels this threshold.

        Raises:
            OptionError: negative, not finite, or not below max_value.
        """
        checked_ceiling(self.max_value, checked_threshold(t))
        self.t.assign(ops.full(self.t.shape, t))

    def call(self, x: Any, training: bool = False) -> Any:
        """``[N, ..., C]`` to the same shape."""
        a = rectified(x, self.max_value)
        t = ops.cast(self.t, a.dtype)
        return a * (ops.sigmoid(self.beta * (a - t)) if training else above(a, t))

    def get_config(self) -> dict[str, Any]:
        """What makes the layer again; the threshold is with the model's weights."""
        return {
            **super().get_config(),
            "t": self.start,
            "beta": self.beta,
            "channels": self.channels,
            "max_value": self.max_value,
        }

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape


def rectified(x: Any, max_value: float | None) -> Any:
    """``x`` limited to [0, max_value]."""
    return ops.relu(x) if max_value is None else ops.clip(x, 0.0, max_value)


def above(a: Any, t: Any) -> Any:
    """1 where ``a > t``, 0 elsewhere, without a gradient, in operations that .tflite runtimes have."""
    return ops.stop_gradient(ops.minimum(ops.ceil(ops.relu(a - t)), 1.0))
