"""What is taken, what becomes of it, and what is refused with which advice."""

import copy

import numpy as np
import pytest
import torch
from spiking_networks import Residual, images, perceptron, prepared
from torch import nn
from torch.nn import functional

from tflite_sparse import spiking
from tflite_sparse.errors import ConversionError, MaskError, OptionError
from tflite_sparse.torch import (
    ActivationMask,
    ActivationSparsifier,
    LearnableThresholdReLU,
    ThresholdReLU,
    set_thresholds,
)


class Calls(nn.Module):
    """`between` is called between two layers."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 3, 3), nn.Linear(3 * 7 * 6, 5)
        self.between = between

    def forward(self, x):
        return self.last(self.between(self.first(x)).flatten(1))


def simulated(model, shown, steps=2000, percentile=100):
    network = spiking.convert(model, shown, percentile)
    return network, spiking.simulate(network, shown, steps, keep_rates=True, progress=False)


def result_of(model, shown):
    with torch.no_grad():
        return model.eval()(shown).numpy()


RELUS = {
    "module": nn.ReLU(),
    "function": functional.relu,
    "method": lambda x: x.relu(),
    "in place": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "clip with an end": lambda x: torch.clip(x, 0, 0.75),
    "relu6": functional.relu6,
    "hardtanh": nn.Hardtanh(0.0, 0.5),
    "threshold 0": nn.Threshold(0.0, 0.0),
    "leaky without a leak": nn.LeakyReLU(0.0),
    "dropout behind": nn.Sequential(nn.ReLU(), nn.Dropout2d()),
    "twice": nn.Sequential(nn.ReLU(), nn.Identity(), nn.ReLU()),
    "pooled before": lambda x: functional.relu(functional.max_pool2d(x, 1)),
    "copies": lambda x: functional.relu(x.contiguous()).clone(),
}


@pytest.mark.parametrize("name", RELUS)
def test_whatever_computes_a_relu_is_taken(name):
    model, shown = prepared(Calls(RELUS[name])), images(8)
    network, found = simulated(model, shown)
    assert [layer.name for layer in network.layers] == ["first", "last"]
    np.testing.assert_allclose(network(shown), result_of(model, shown), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.02)


POOLINGS = {
    "max": nn.MaxPool2d((3, 2), 1),
    "max of all": lambda x: x.amax((2, 3)),
    "adaptive max": nn.AdaptiveMaxPool2d((2, 3)),
    "max function": lambda x: functional.max_pool2d(x, 2, padding=1, ceil_mode=True),
    "max of a max": nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2)),
    "average": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "mean": lambda x: x.mean((2, 3)),
    "mean that keeps": lambda x: x.mean((-2, -1), keepdim=True),
    "adaptive average": nn.AdaptiveAvgPool2d((3, 4)),
    "average function": lambda x: functional.avg_pool2d(x, (1, 3), (2, 1)),
    "max of an average": nn.Sequential(nn.AvgPool2d(2), nn.MaxPool2d(2)),
    "average of a max": nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2)),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings_of_spikes(name):
    shown = images(8)
    model = Calls(lambda x: POOLINGS[name](torch.relu(x)))
    with torch.no_grad():
        model.last = nn.Linear(model.between(model.first(shown.float())).flatten(1).shape[1], 5)
    model = prepared(model)
    network, found = simulated(model, shown)
    # An average is a layer of neurons of its own, a maximum passes spikes on.
    assert len(network.layers) == 2 + ("average" in name or "mean" in name)
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.02)
    for layer in network.layers:
        for synapses in layer.synapses:
            if synapses.source is not None:
                counts = synapses.view(torch.zeros((1, *network.layers[synapses.source].size)))
                check_fan_out(synapses, tuple(counts.shape[1:]))


def check_fan_out(synapses, shape):
    """Against the outputs that each element alone changes."""
    size = int(np.prod(shape))
    twin = copy.deepcopy(synapses)
    for value in twin.buffers():
        value.copy_(value != 0)
    made = twin(torch.eye(size, dtype=torch.float64).view(size, *shape))
    assert (synapses.fan_out(shape).flatten() == (made != 0).flatten(1).sum(1)).all()


@pytest.mark.parametrize("function", [nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Flatten()])
def test_the_input_may_be_pooled_and_flattened_first(function):
    shown = images(8)
    with torch.no_grad():
        count = function(shown).flatten(1).shape[1]
    model = prepared(nn.Sequential(function, nn.Flatten(), nn.Linear(count, 9), nn.ReLU(), nn.Linear(9, 5)))  # fmt: skip
    network, found = simulated(model, shown)
    assert len(network.layers) == 2
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.01)


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "module"])
def test_a_softmax_at_the_end_is_left_out(function):
    ends = {"softmax": lambda x: x.softmax(1), "module": nn.LogSoftmax(1)}
    end = ends.get(function, lambda x: functional.log_softmax(x, dim=-1))
    model, shown = prepared(perceptron()), images(8)

    class Ended(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.end = model, end

        def forward(self, x):
            return self.end(self.model(x))

    _, found = simulated(Ended(), shown)
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.01)


def test_a_result_behind_a_relu():
    model, shown = prepared(perceptron()[:-1]), images(8)
    network, found = simulated(model, shown)
    assert [layer.name for layer in network.layers] == ["1", "3", "output"]
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.01)


THRESHOLDS = {
    "module": lambda: ThresholdReLU(0.25),
    "with an end": lambda: ThresholdReLU(0.25, 0.7),
    "torch's": lambda: nn.Threshold(0.25, 0.0),
    "learned": lambda: LearnableThresholdReLU(0.25),
    "by channel": lambda: LearnableThresholdReLU(0.25, channels=3),
}


@pytest.mark.parametrize("name", [*THRESHOLDS, "hook", "hook with an end"])
def test_thresholds_silence_small_activations(name):
    function = functional.relu6 if name == "hook with an end" else functional.relu
    model, shown = prepared(Calls(function)), images(8)
    if name.startswith("hook"):
        if name == "hook with an end":
            model.first.weight.data *= 12
        set_thresholds(model, 0.25, example_inputs=(shown,))
    else:
        model.between = THRESHOLDS[name]().double().eval()
    if name == "by channel":
        with torch.no_grad():
            model.between.t.copy_(torch.tensor([0.0, 0.25, -0.5]))
    with torch.no_grad():
        currents = nn.Conv2d.forward(model.first, shown)
        # Without inputs so close to the threshold that more steps would be needed.
        assert (currents - 0.25).abs().min() > 1e-4
    network, found = simulated(model, shown, steps=1000)
    rates, scale = found.layers[0].rates, network.layers[0].scale
    wanted = model.between(nn.Module.__call__(model.first, shown)).detach().numpy()
    # A neuron above the threshold fires as that of a plain ReLU does, another one never.
    assert (rates[wanted == 0] == 0).all()
    assert ((currents.numpy() > 0) & (wanted == 0)).any()
    assert np.abs(rates * scale - wanted).max() <= 1.001 * scale / 1000
    (_, activations), _ = network.activations(shown)
    np.testing.assert_allclose(activations * scale, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("percentile", [50, 99, 99.9, 100])
def test_scales_are_percentiles_of_all_nonzero_activations(percentile, batch_size):
    model, shown = prepared(Residual()), images(30)
    # Batches that differ, so that a mean over them would be something else.
    shown *= torch.linspace(0, 2, 30, dtype=torch.float64)[:, None, None, None]
    network = spiking.convert(model, shown, percentile, batch_size=batch_size)
    found = {}

    def keep(name):
        return lambda module, inputs, output: found.setdefault(name, []).append(output.clone())

    handles = [model.relu.register_forward_hook(keep("relu"))]
    handles.append(model.average_pool.register_forward_hook(keep("pool")))
    with torch.no_grad():
        model(shown)
    for handle in handles:
        handle.remove()
    wanted = [*found["relu"], *found["pool"]]
    scales = [network.layers[index].scale for index in (0, 2, 3)]
    for scale, values in zip(scales, wanted):
        values = values[values > 0].numpy()
        assert scale == pytest.approx(np.percentile(values, percentile), rel=1e-12)
    assert network.layers[4].scale == 1.0


def test_activations_above_the_percentile_are_clipped():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
    for layer in (model[0], model[2]):
        nn.init.ones_(layer.weight)
    network = spiking.convert(model, torch.arange(1.0, 11)[:, None], 50)
    assert network.layers[0].scale == 5.5
    found = spiking.simulate(network, torch.tensor([[4.0], [9.0]]), 1000, progress=False)
    assert found.outputs[:, 0] == pytest.approx([4.0, 5.5], abs=0.01)


def test_a_silent_layer():
    model = prepared(perceptron())
    with torch.no_grad():
        model[3].bias.fill_(-100.0)
    _, found = simulated(model, images(8), 20)
    assert found.layers[1].spikes.sum() == 0
    assert found.outputs == pytest.approx(result_of(model, images(8)))


@pytest.mark.parametrize("kind", ["hooks", "modules"])
def test_masked_pixels_never_spike_and_cost_nothing(kind):
    model, shown = prepared(Residual()), images(6)
    mask = np.zeros((11, 5), bool)
    mask[2:7, 1:4] = True
    if kind == "hooks":
        sparsifier = ActivationSparsifier(model, (9, 8), 0.5, 10, example_inputs=(shown,))
        sparsifier.set_masks({"stem.0": mask, "grouped.0": mask, "down": np.ones((3, 2), bool)})
        model.eval()
    else:
        model.stem.append(nn.ReLU())
        model.stem.append(ActivationMask(mask))
        model.grouped.append(ActivationMask(mask))
    with torch.no_grad():
        dense = spiking.convert(prepared(Residual()), shown, 100)
    network, found = simulated(model, shown, 1000)
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.03)
    assert (found.layers[0].rates[:, :, ~mask] == 0).all()
    assert found.layers[0].rates.any()
    whole = dense.layers[1].synapses[0].fan_out((4, 11, 5))
    masked = network.layers[1].synapses[0].fan_out((4, 11, 5))
    assert (masked <= whole).all()
    assert masked[:, 0].sum() == 0
    check_fan_out(network.layers[1].synapses[0], (4, 11, 5))


class Functional(nn.Module):
    """Layers used twice, sums of one value with itself, a sum without a ReLU, a branch unread."""

    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4 * 72, 5)

    def forward(self, x):
        x = torch.relu(self.first(x))
        y = self.again(x)
        z = torch.relu(self.norm(y) + y)  # What is normalised here is read there as it was.
        x = torch.relu(self.again(x)) + z + x
        self.norm(y)
        return self.head((x + x).reshape(len(x), -1))


def test_layers_and_values_used_twice():
    model, shown = prepared(Functional()), images(6)
    network, found = simulated(model, shown)
    assert [layer.name for layer in network.layers][:3] == ["first", "again", "again#2"]
    np.testing.assert_allclose(found.outputs, result_of(model, shown), rtol=0, atol=0.05)


def test_the_model_is_left_as_it_was():
    model = prepared(Residual()).train()
    before = copy.deepcopy(model.state_dict())
    network = spiking.convert(model, images(5))
    for parameter in network.buffers():
        parameter.zero_()
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


REFUSED = {
    "gelu": (lambda: nn.GELU(), r"layer 'between' \(gelu\) is no ReLU.*nn.ReLU or ThresholdReLU"),
    "leaky": (lambda: nn.LeakyReLU(0.1), r"'between' \(leakyrelu\) is no ReLU"),
    "tanh": (lambda: torch.tanh, r"call of tanh is no ReLU"),
    "prelu": (lambda: nn.PReLU(3), r"'between' \(prelu\) is no ReLU"),
    "product": (lambda: lambda x: x * 2, r"call of mul.* has no counterpart.*use Conv2d"),
    "concatenation": (lambda: lambda x: torch.cat((x, x)), r"call of cat has no counterpart"),
    "transposed": (
        lambda: nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(3, 3, 1)),
        r"'between.1' \(convtranspose2d\) has no counterpart",
    ),
    "constant": (lambda: lambda x: x + 1, r"call of add adds something .*bias of a layer"),
    "shapes": (lambda: lambda x: x + x.amax((2, 3), keepdim=True), r"of different shapes"),
    "broadcast": (
        lambda: lambda x: x.relu() + x.relu().amax((2, 3), keepdim=True),
        r"call of add adds tensors of different shapes",
    ),
    "no relu": (
        lambda: nn.Conv2d(3, 3, 1),
        r"layer 'between' \(conv2d\) reads the result of 'first' without a ReLU",
    ),
    "averaged before a relu": (
        lambda: nn.Sequential(nn.AvgPool2d(2), nn.ReLU()),
        r"'between.0' \(avgpool2d\) reads the result of 'first' without a ReLU",
    ),
    "normalised later": (
        lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)),
        r"'between.1' \(batchnorm2d\) does not follow a convolution.*right behind",
    ),
    "instance norm": (
        lambda: lambda x: functional.instance_norm(x).relu(),
        r"call of instance_norm is no BatchNorm layer",
    ),
    "no mean": (
        lambda: nn.BatchNorm2d(3, track_running_stats=False),
        r"'between' .*keeps no running mean.*track_running_stats=True",
    ),
    "padding": (
        lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")),
        r"'between.1' .*padding_mode='reflect'; use \"zeros\"",
    ),
    "one axis": (lambda: lambda x: x.relu().mean(1), r"call of mean does not reduce height"),
    "reshaped": (lambda: lambda x: x.relu().view(-1, 9, 14), r"call of view gives the shape"),
    "one axis more": (
        lambda: lambda x: x.relu().view(-1, 126, 1),
        r"call of view gives the shape \[1, 126, 1\]; flatten all but the batch",
    ),
    "threshold of spikes": (
        lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), ThresholdReLU(0.5)),
        r"'between.2' \(thresholdrelu\) does not follow a layer with weights",
    ),
    "function": (
        lambda: lambda x: functional.conv2d(x.relu(), torch.ones(3, 3, 1, 1, dtype=x.dtype)),
        r"call of conv2d has no counterpart",
    ),
    "sum before a relu": (
        lambda: lambda x: (functional.max_pool2d(x, 1) + x).relu(),
        r"call of add adds what was pooled before its ReLU; put the ReLU first",
    ),
    "indices": (
        lambda: lambda x: functional.max_pool2d(x.relu(), 1, return_indices=True)[0],
        r"gives several results",
    ),
    "mask of a pooling": (
        lambda: nn.Sequential(nn.ReLU(), nn.MaxPool2d(1), ActivationMask(np.eye(7, 6))),
        r"'between.2' \(activationmask\) masks what is no layer's result",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_named(name):
    make, message = REFUSED[name]
    model = Calls(make())
    with torch.no_grad():
        count = model.between(model.first(images(2).float())).flatten(1).shape[1]
    model.last = nn.Linear(count, 5)
    with pytest.raises(ConversionError, match=message):
        spiking.convert(prepared(model), images(4))


def test_what_the_record_does_not_see_is_noticed():
    model = prepared(perceptron())
    model[1].register_forward_hook(lambda module, inputs, output: output * 1.1)
    with pytest.raises(ConversionError, match=r"differ from those of Sequential by.*forward hook"):
        spiking.convert(model, images(4))


def test_what_is_no_network():
    with pytest.raises(ConversionError, match="Sequential has no Conv2d or Linear"):
        spiking.convert(nn.Sequential(nn.ReLU()), images(4))
    with pytest.raises(MaskError, match="does not run"):
        spiking.convert(prepared(perceptron()), images(4)[:, :, :3])


def test_a_model_with_two_results():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 2).double()

        def forward(self, x):
            return self.layer(x), x

    with pytest.raises(ConversionError, match="returns one tensor, Two returns 2"):
        spiking.convert(Two(), images(4))


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan")])
def test_percentiles_out_of_range(percentile):
    with pytest.raises(OptionError, match="percentile in"):
        spiking.convert(prepared(perceptron()), images(4), percentile)


def test_no_calibration_inputs():
    with pytest.raises(OptionError, match="calibration inputs"):
        spiking.convert(prepared(perceptron()), images(4)[:0])
