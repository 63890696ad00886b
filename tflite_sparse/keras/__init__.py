"""Training Keras models for activation sparsity."""

from tflite_sparse.keras.threshold import LearnableThresholdReLU, ThresholdReLU

__all__ = ["LearnableThresholdReLU", "ThresholdReLU"]
