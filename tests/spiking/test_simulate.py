"""Counts against a simulation neuron by neuron; rates against activations, within derived bounds."""

import copy

import numpy as np
import pytest
import torch
from spiking_networks import Residual, brute_force, images, perceptron, prepared
from torch import nn

from tflite_sparse import spiking
from tflite_sparse.errors import OptionError
from tflite_sparse.torch import measure_activity

NETWORKS = {"perceptron": perceptron, "residual": Residual}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_those_of_a_simulation_neuron_by_neuron(name, seed):
    model = prepared(NETWORKS[name](), seed)
    # With other images the clipping is tried too, and no potential is 1 but for rounding.
    network = spiking.convert(model, images(20, seed=seed + 100), 90)
    found = spiking.simulate(network, images(3, seed=seed), 25, progress=False)
    scales = [layer.scale for layer in network.layers]
    assert found.spikes.min() > 50
    for sample, image in enumerate(images(3, seed=seed)):
        spikes, synops, outputs = brute_force(model, scales, image, 25)
        assert [layer.spikes[sample] for layer in found.layers] == spikes.tolist()
        assert [layer.synops[sample] for layer in found.layers] == synops.tolist()
        np.testing.assert_allclose(found.outputs[sample], outputs, rtol=0, atol=1e-12)
    assert (found.synops_over_time[-1] == found.synops).all()
    assert (np.diff(found.synops_over_time, axis=0) >= 0).all()


def within(network):
    """What T times a rate may differ by from T times the activation, layer by layer: [1, ...].

    The currents that reached a neuron by then differ by at most `sum |w| d`; neurons with reset by
    subtraction that are never driven beyond a spike per step add less than 1.
    """
    bounds = []
    for layer in network.layers:
        total = torch.zeros((1, *layer.size), dtype=torch.float64)
        for synapses in layer.synapses:
            if synapses.source is not None:
                total += absolute(synapses)(synapses.view(bounds[synapses.source]))
        bounds.append(total + 1 if layer.fires else total)
    return [bound.numpy() for bound in bounds]


def absolute(synapses):
    twin = copy.deepcopy(synapses)
    for value in twin.buffers():
        value.abs_()
    return twin


@pytest.mark.parametrize("steps", [7, 100])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", NETWORKS)
def test_rates_are_activations_within_a_bound_over_the_steps(name, seed, steps):
    shown = images(10, seed=seed)
    network = spiking.convert(prepared(NETWORKS[name](), seed), shown, 100)
    found = spiking.simulate(network, shown, steps, keep_rates=True, progress=False)
    bounds = within(network)
    assert (bounds[0] == 1).all()
    for (layer, wanted), made, bound in zip(network.activations(shown), found.layers, bounds):
        rates = made.rates if layer.fires else found.outputs
        assert (np.abs(rates - wanted.numpy()) <= (bound + 1e-9) / steps).all(), layer.name
        assert wanted.numpy().max() > 0.1


def test_the_result_tends_to_the_models():
    model, shown = prepared(Residual()), images(20)
    network = spiking.convert(model, shown, 100)
    with torch.no_grad():
        wanted = model(shown).numpy()
    errors = [
        np.abs(spiking.simulate(network, shown, steps, progress=False).outputs - wanted).max()
        for steps in (10, 100, 1000)
    ]
    assert errors[2] < errors[1] / 5 < errors[0] / 25
    assert errors[2] < 0.01


def test_a_layer_of_activations_zero_or_one_makes_as_many_synops_as_effective_macs():
    """Neurons that spike in each step or never: measure_activity counts the same."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64, 3)),
    )
    nn.init.ones_(model[0].weight)
    shown = (torch.rand(6, 1, 8, 8) > 0.5).float()
    network = spiking.convert(model, shown, 100)
    found = spiking.simulate(network, shown, 7, progress=False)
    counted = measure_activity(model, [shown])
    assert found.layers[0].input_macs.mean() == counted.layers[0].macs_effective
    assert found.layers[1].synops.mean() == pytest.approx(7 * counted.layers[1].macs_effective)


def test_batches_do_not_matter():
    model, shown = prepared(Residual()), images(7)
    network = spiking.convert(model, shown)
    whole = spiking.simulate(network, shown, 12, keep_rates=True, progress=False)
    parts = spiking.simulate(network, shown, 12, batch_size=3, keep_rates=True, progress=False)
    assert (whole.predictions_over_time == parts.predictions_over_time).all()
    assert (whole.synops_over_time == parts.synops_over_time).all()
    assert whole.predictions.shape == (7,)
    for one, other in zip(whole.layers, parts.layers):
        assert (one.rates == other.rates).all()
        assert (one.spikes == other.spikes).all()
        assert (one.input_macs == other.input_macs).all()


def test_predictions_over_time_are_those_of_shorter_simulations():
    network = spiking.convert(prepared(perceptron()), images(30))
    found = spiking.simulate(network, images(30), 20, progress=False)
    for steps in (1, 5, 19):
        shorter = spiking.simulate(network, images(30), steps, progress=False)
        assert (shorter.predictions == found.predictions_over_time[steps - 1]).all()
        assert (shorter.predictions == shorter.outputs.argmax(1)).all()
        assert (shorter.synops == found.synops_over_time[steps - 1]).all()


def test_large_counts_stay_exact():
    """A spike that reaches more synapses than float32 can count."""
    count = 2**24 + 1
    wide = nn.utils.skip_init(nn.Linear, 1, count, bias=False)
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), wide)
    for layer in (model[0], wide):
        nn.init.ones_(layer.weight)
    network = spiking.convert(model, torch.ones(1, 1), 100)
    found = spiking.simulate(network, torch.ones(1, 1), 3, progress=False)
    assert found.spikes.tolist() == [3]
    assert found.synops.tolist() == [3 * count]


def test_progress_and_table(capsys):
    network = spiking.convert(prepared(perceptron()), images(4))
    found = spiking.simulate(network, images(4), 5)
    output = capsys.readouterr()
    assert "simulating 4 images for 5 steps" in output.err
    assert output.out == ""
    assert f"{found.synops.mean():.0f} synaptic operations" in str(found)
    assert str(network).startswith("1: 20 neurons, scale")


@pytest.mark.parametrize(("count", "steps"), [(0, 5), (3, 0)])
def test_nothing_to_simulate(count, steps):
    network = spiking.convert(prepared(perceptron()), images(4))
    with pytest.raises(OptionError, match=rf"steps >= 1 and images, found {steps} and {count}"):
        spiking.simulate(network, images(4)[:count], steps)
