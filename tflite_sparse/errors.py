"""The errors that tflite-sparse raises.

Each is also the builtin error a caller would expect (ValueError for bad input,
RuntimeError for work that failed).
"""


class TfliteSparseError(Exception):
    """Base of every error that tflite-sparse raises."""


class MaskError(TfliteSparseError, ValueError):
    """A mask or sidecar is malformed, or does not fit the model."""


class ModelError(TfliteSparseError, ValueError):
    """A model file is malformed, or of a kind that cannot be handled."""


class OptionError(TfliteSparseError, ValueError):
    """An option is unknown or its value out of range."""


class DelegateError(TfliteSparseError, RuntimeError):
    """The delegate could not be loaded, or an inference failed."""


class ConversionError(TfliteSparseError, RuntimeError):
    """A conversion failed, or its result failed its own check."""
