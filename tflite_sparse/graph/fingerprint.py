"""Telling models apart."""

from __future__ import annotations

import hashlib

from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import CONVOLUTIONS, subgraph_layers
from tflite_sparse.graph.view import View


def fingerprint(file: ModelFile) -> str:
    """A hexadecimal digest of a model's convolutions: kinds, shapes and weights, in order.

    Masks do not count, so a model keeps its fingerprint when it is masked;
    neither do names, so it keeps it when tensors are renamed. Weights do, so
    that masks trained for one model do not pass for another's of equal
    architecture.
    """
    digest = hashlib.sha256()
    for subgraph in range(len(file.model.subgraphs)):
        view = View(file, subgraph)
        for layer in subgraph_layers(view):
            if layer.kind not in CONVOLUTIONS:
                continue
            digest.update(f"{layer.kind}{view.shape(layer.output)}".encode())
            for tensor in view.op_inputs(layer.op):
                source = view.constant_source(tensor)
                if source is not None:
                    digest.update(f"{view.shape(tensor)}".encode())
                    data = file.model.buffers[view.graph.tensors[source].buffer].data
                    digest.update(bytes(memoryview(data)))
    return digest.hexdigest()[:32]
