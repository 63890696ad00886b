"""Training PyTorch models for activation sparsity."""

from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU

__all__ = ["LearnableThresholdReLU", "ThresholdReLU"]
