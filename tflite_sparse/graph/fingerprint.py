"""Telling models apart."""

from __future__ import annotations

import hashlib

from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import CONVOLUTIONS, find_layers
from tflite_sparse.graph.view import View


def fingerprint(file: ModelFile) -> str:
    """A hexadecimal digest of a model's convolutions: kinds, shapes and weights, in order.

    Masks do not count, so a model keeps its fingerprint when it is masked;
    neither do names, so it keeps it when tensors are renamed. Weights do, so
    that masks trained for one model do not pass for another's of equal
    architecture.
    """
    digest = hashlib.sha256()
    views: dict[int, View] = {}
    for layer in find_layers(file):
        if layer.kind not in CONVOLUTIONS:
            continue
        view = views.setdefault(layer.subgraph, View(file, layer.subgraph))
        digest.update(f"{layer.kind}{view.shape(layer.output)}".encode())
        for tensor in view.op_inputs(layer.op):
            if view.is_constant(tensor):
                digest.update(f"{view.shape(tensor)}".encode())
                digest.update(_constant_bytes(view, tensor))
    return digest.hexdigest()[:32]


def _constant_bytes(view: View, tensor: int) -> bytes:
    while tensor in view.producer:
        tensor = view.op_inputs(view.producer[tensor])[0]
    data = view.file.model.buffers[view.graph.tensors[tensor].buffer].data
    return bytes(memoryview(data))
