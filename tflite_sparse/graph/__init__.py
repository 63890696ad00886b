"""Reading .tflite graphs: the file, its layers, and the masks already in it."""

from tflite_sparse.graph.choose import added_layers, choose_layers, image_size, layer_sizes
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.fingerprint import fingerprint
from tflite_sparse.graph.layers import Layer, find_layers
from tflite_sparse.graph.view import View

__all__ = [
    "Layer",
    "ModelFile",
    "View",
    "added_layers",
    "choose_layers",
    "find_layers",
    "fingerprint",
    "image_size",
    "layer_sizes",
]
