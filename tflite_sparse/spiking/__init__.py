"""Spiking networks out of trained PyTorch networks with ReLUs: spikes and synaptic operations.

An analysis tool for activation sparsity: what a neuromorphic chip would do for the same network.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"tflite_sparse.spiking needs PyTorch ({error}); install it: "
        "pip install 'tflite-sparse[torch]'"
    ) from error

from tflite_sparse.spiking.conversion import convert
from tflite_sparse.spiking.network import SpikingNetwork
from tflite_sparse.spiking.nir_export import to_nir
from tflite_sparse.spiking.simulation import Simulation, simulate

__all__ = ["Simulation", "SpikingNetwork", "convert", "simulate", "to_nir"]
