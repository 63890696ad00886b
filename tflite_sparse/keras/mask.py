"""Masks in a Keras model: a layer of their own, and models rebuilt with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import as_mask


@keras.saving.register_keras_serializable("tflite_sparse")
class ActivationMask(keras.layers.Layer):  # type: ignore[misc]
    """Sets the masked pixels of its input ``[N, H, W, C]`` to zero.

    Put it after a convolution's BatchNormalization and activation; or right behind
    the convolution for a network that was trained so. The mask is a weight that is
    not trained: it is saved and loaded with the model, and :meth:`set_mask` changes
    it during training.

    Args:
        mask: binary ``[H, W]``, 1 = kept; None starts with all pixels kept.

    Raises:
        MaskError: the mask is not binary, or not of the input's height and width.
    """

    def __init__(self, mask: npt.ArrayLike | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._initial = None if mask is None else as_mask(mask, self.name)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weight ``[H, W]``."""
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise MaskError(
                f"layer {self.name!r} masks [N, H, W, C] of fixed height and width; its input is "
                f"{list(input_shape)}: give the model a fixed input size"
            )
        shape = (int(input_shape[1] or 0), int(input_shape[2] or 0))
        self.mask = self.add_weight(
            shape=shape, initializer="ones", trainable=False, dtype="float32", name="mask"
        )
        if self._initial is not None:
            self.set_mask(self._initial)

    def get_config(self) -> dict[str, Any]:
        """What makes the layer again; the mask is with the model's weights."""
        config: dict[str, Any] = super().get_config()
        return config

    def set_mask(self, mask: npt.ArrayLike) -> None:
        """Replace the mask; ``[H, W]`` as before.

        Raises:
            MaskError: not binary, or not of the layer's height and width.
        """
        checked = as_mask(mask, self.name)
        if checked.shape != tuple(self.mask.shape):
            raise MaskError(
                f"the mask of layer {self.name!r} has the shape {list(checked.shape)}, expected "
                f"{list(self.mask.shape)}"
            )
        self.mask.assign(checked.astype(np.float32))

    def call(self, inputs: Any) -> Any:
        """``inputs`` where the mask is 1, zero elsewhere."""
        return masked(inputs, self.mask)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape


def masked(inputs: Any, mask: Any) -> Any:
    """``inputs`` ``[N, H, W, C]`` where ``mask`` ``[H, W]`` is not 0, zero elsewhere.

    A selection and not a product: after a linear convolution TFLite's converter
    distributes a product over the bias, and nothing of the mask is left to fuse.
    """
    kept = keras.ops.not_equal(mask, 0)[None, :, :, None]
    return keras.ops.where(kept, inputs, keras.ops.zeros((), inputs.dtype))


def insert_after(model: Any, inserted: Mapping[Any, Any]) -> Any:
    """A model of the same layers, with another layer behind each of these ``{layer: other}``.

    Raises:
        MaskError: the model is neither functional nor sequential.
    """

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            return rebuilt(layer)(*args, **kwargs)
        output = layer(*args, **kwargs)
        return inserted[layer](output) if layer in inserted else output

    def rebuilt(part: Any) -> Any:
        return keras.models.clone_model(
            functional(part), clone_function=lambda layer: layer, call_function=call
        )

    return rebuilt(model)


def functional(model: Any) -> Any:
    """The functional model that a model is.

    Raises:
        MaskError: it is neither functional nor sequential, or has no input of known size.
    """
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    # A subclassed model has no graph to rebuild.
    if not hasattr(model, "_run_through_graph"):
        raise MaskError(
            f"{model.name!r} is not a functional or sequential model with an input of known size, "
            "so there is no graph to put masks into; put ActivationMask layers (from "
            "tflite_sparse.keras) behind its activations, or build it with Input(...)"
        )
    return model
