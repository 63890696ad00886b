"""Synaptic operations, layer by layer, against those that NeuroBench counts from the same spikes."""

import copy

import pytest
from neurobench.metrics.utils.layers.macs import single_layer_MACs
from spiking_networks import Residual, images, perceptron, prepared

from tflite_sparse import spiking
from tflite_sparse.spiking.synapses import Convolution, Dense


@pytest.mark.parametrize("make", [perceptron, Residual])
def test_as_many_as_neurobench_counts(make):
    model, shown = prepared(make()), images(6)
    network = spiking.convert(model, shown, 99)
    counted = dict.fromkeys((layer.name for layer in network.layers), 0)

    def count(layer, synapses):
        module = copy.deepcopy(model.get_submodule(synapses.name)).float()

        def hook(_, given):
            counted[layer.name] += single_layer_MACs(given[0].float(), module)[0]

        return hook

    for layer in network.layers:
        for synapses in layer.synapses:
            if synapses.source is not None and isinstance(synapses, (Convolution, Dense)):
                synapses.register_forward_pre_hook(count(layer, synapses))
    found = spiking.simulate(network, shown, 30, progress=False)
    compared = 0
    for layer, made in zip(network.layers, found.layers):
        weighted = [isinstance(each, (Convolution, Dense)) for each in layer.synapses]
        if all(weighted) and layer.synapses[0].source is not None:
            assert counted[layer.name] == made.synops.sum() > 0
            compared += 1
    assert compared == 2
