"""Penalties on the activations of PyTorch models in training."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from training_networks import SIZE, Residual, bars

from tflite_sparse.errors import OptionError
from tflite_sparse.torch import (
    ActivationRegularizer,
    ActivationSparsifier,
    set_thresholds,
)
from tflite_sparse.training.penalties import L1, PENALTIES, Lp, PartialL1

SUM = L1()
EXAMPLE = (torch.zeros(1, 1, SIZE, SIZE),)


class Network(nn.Module):
    """A ReLU module, one that runs twice, and one called as a function behind a convolution."""

    def __init__(self):
        super().__init__()
        self.first, self.bn = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu, self.shared = nn.ReLU(inplace=True), nn.ReLU6()
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 3, padding=1)
        self.fourth = nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)
        #: What a test's own bookkeeping sees, in the order of the calls.
        self.seen = []

    def forward(self, x):
        self.seen = []
        x = self._keep(self.relu(self.bn(self.first(x))))
        x = self._keep(self.shared(self.second(x)))
        x = self._keep(self.shared(self.third(x)))
        x = self._keep(nn.functional.relu(self.fourth(x)))
        return self.head(x.mean((2, 3)))

    def _keep(self, x):
        self.seen.append(x)
        return x


def images(count=8):
    return torch.from_numpy(bars(count)[0])


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def expected(model, weights, penalty=SUM):
    relu, once, again, function = (value.flatten(1) for value in model.seen)
    values = {
        "relu": penalty(relu, torch).mean(),
        "shared": penalty(once, torch).mean() + penalty(again, torch).mean(),
        "fourth": penalty(function, torch).mean(),
    }
    return sum(weight * values[name] for name, weight in weights.items())


@pytest.mark.parametrize("name", PENALTIES)
def test_loss_and_gradients_are_those_of_the_sum_over_layers(name):
    model = Network().train()
    weights = {"relu": 1e-3, "shared": 2e-3, "fourth": 5e-3}
    regularizer = ActivationRegularizer(model, name, weights, example_inputs=EXAMPLE)
    logits = model(images())
    wanted = expected(model, weights, PENALTIES[name]())
    found = regularizer.loss()
    torch.testing.assert_close(found, wanted)
    assert wanted > 0
    mine = gradients(model, found + logits.square().sum())
    logits = model(images())
    other = gradients(model, expected(model, weights, PENALTIES[name]()) + logits.square().sum())
    assert mine.keys() == other.keys() == dict(model.named_parameters()).keys()
    for key, gradient in mine.items():
        torch.testing.assert_close(gradient, other[key])


def test_without_an_example_only_modules_are_seen():
    regularizer = ActivationRegularizer(Network(), "l1", 1.0)
    assert regularizer.weights == {"relu": 1.0, "shared": 1.0}


def test_a_function_that_follows_no_layer_is_named():
    with pytest.warns(UserWarning, match="a ReLU of Residual .* follows 'add_'"):
        regularizer = ActivationRegularizer(Residual(), example_inputs=EXAMPLE)
    assert list(regularizer.weights) == ["relu"]


def test_weights_are_given_by_pattern_and_change():
    model = Network().train()
    regularizer = ActivationRegularizer(model, "l1", {"sh*": 1e-3, "*": 0.0})
    assert regularizer.weights == {"relu": 0.0, "shared": 1e-3}
    model(images())
    torch.testing.assert_close(regularizer.loss(), expected(model, {"shared": 1e-3}))
    regularizer.use(Lp(0.5), {"relu": 2e-3})
    assert regularizer.weights == {"relu": 2e-3}
    model(images())
    torch.testing.assert_close(regularizer.loss(), expected(model, {"relu": 2e-3}, Lp(0.5)))
    regularizer.use(weight=0.0)
    model(images())
    assert regularizer.loss() == 0


def test_a_function_of_ones_own():
    model = Network().train()
    regularizer = ActivationRegularizer(model, lambda x: x.square().sum(1), {"relu": 1.0})
    model(images())
    torch.testing.assert_close(regularizer.loss(), model.seen[0].square().sum() / 8)


def test_mean_over_elements():
    model = Network().train()
    regularizer = ActivationRegularizer(model, "l1", {"relu": 1.0}, mean="elements")
    model(images())
    torch.testing.assert_close(regularizer.loss(), model.seen[0].mean())


@pytest.mark.parametrize("mask_first", [True, False])
@pytest.mark.parametrize("mean", ["batch", "elements"])
def test_masked_pixels_do_not_count(mask_first, mean):
    """Whichever was attached first; the function is one that is not 0 at 0."""
    model = Network().train()

    def sparsifier():
        return ActivationSparsifier(model, SIZE, 0.5, 10, 0.0, 0.0, layers=["first"])

    masks = sparsifier() if mask_first else None
    regularizer = ActivationRegularizer(model, "l1", {"relu": 1.0}, mean=mean)
    masks = masks or sparsifier()
    kept = torch.from_numpy(masks.masks()["first"].copy())
    model(images())
    values = model.seen[0][:, :, kept]
    wanted = values.mean() if mean == "elements" else values.sum() / 8
    torch.testing.assert_close(regularizer.loss(), wanted)
    assert 0 < kept.sum() < SIZE * SIZE


def test_autocast_is_summed_in_single_precision():
    model = Network().train()
    regularizer = ActivationRegularizer(model, "l1", 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        model(images(64))
    assert model.seen[1].dtype == torch.bfloat16
    wanted = expected(model, {"relu": 1.0, "shared": 1.0}, lambda x, ops: x.double().abs().sum(1))
    found = regularizer.loss()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=0)
    assert all(torch.isfinite(g).all() for g in gradients(model, found).values())


def test_compiled_models_have_the_same_loss():
    plain = Network().train()
    twin = copy.deepcopy(plain)
    compiled = torch.compile(twin, backend="aot_eager")
    regularizers = [ActivationRegularizer(model, "l1", 1e-3) for model in (plain, compiled)]
    for penalty, weight in ((None, None), ("hoyer", 1e-2), (PartialL1(0.5), 1e-3)):
        found = []
        for model, own, regularizer in zip((plain, compiled), (plain, twin), regularizers):
            if penalty is not None:
                regularizer.use(penalty, weight)
            loss = model(images()).square().sum() + regularizer.loss()
            found.append((loss, gradients(own, loss)))
        torch.testing.assert_close(found[0][0], found[1][0])
        for key, gradient in found[0][1].items():
            torch.testing.assert_close(gradient, found[1][1][key])


def _train_a_half(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = evaluating_norms(Network())
    parallel = nn.parallel.DistributedDataParallel(model)
    regularizer = ActivationRegularizer(parallel, "l1", 1e-3)
    (parallel(images().chunk(2)[rank]).square().mean() + regularizer.loss()).backward()
    torch.save({n: p.grad for n, p in model.named_parameters()}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def evaluating_norms(model):
    """The model in training, but for BatchNorm, which would tell parts of a batch apart."""
    model.train().bn.eval()
    return model


def test_two_processes_have_the_gradient_of_the_whole_batch(tmp_path):
    torch.multiprocessing.spawn(_train_a_half, (tmp_path,), nprocs=2)
    torch.manual_seed(0)
    model = evaluating_norms(Network())
    regularizer = ActivationRegularizer(model, "l1", 1e-3)
    wanted = gradients(model, model(images()).square().mean() + regularizer.loss())
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5)


def test_gradient_accumulation():
    """The mean over two halves of a batch is the batch's."""
    model = evaluating_norms(Network())
    regularizer = ActivationRegularizer(model, "l1", 1.0)
    model(images())
    whole = gradients(model, regularizer.loss())
    model.zero_grad()
    for half in images().chunk(2):
        model(half)
        (regularizer.loss() / 2).backward()
    for name, parameter in model.named_parameters():
        if name in whole:
            torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-4, atol=1e-2)


def test_evaluation_is_not_observed():
    model = Network().train()
    regularizer = ActivationRegularizer(model, "l1", 1.0)
    with pytest.raises(OptionError, match="no forward pass has been seen"):
        regularizer.loss()
    model(images())
    before = regularizer.loss()
    model.eval()(images(2))
    with torch.no_grad():
        model.train()(images(2))
    assert regularizer.loss() is not before
    assert regularizer.loss() == before


def test_remove_leaves_the_model_as_it_was():
    model = Network().train()
    state = copy.deepcopy(model.state_dict())
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    regularizer = ActivationRegularizer(model, example_inputs=EXAMPLE)
    assert model.state_dict().keys() == state.keys()
    regularizer.remove()
    assert hooks == [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    with pytest.raises(OptionError, match="no forward pass has been seen"):
        regularizer.loss()


@pytest.mark.parametrize("thresholds_first", [True, False])
def test_activations_count_before_their_threshold(thresholds_first):
    """What a threshold removes is what the partial penalty is for."""
    model = Network().train()
    if thresholds_first:
        set_thresholds(model, 0.5)
    regularizer = ActivationRegularizer(model, PartialL1(0.5), {"relu": 1.0})
    if not thresholds_first:
        set_thresholds(model, 0.5)
    before = []
    handle = model.bn.register_forward_hook(lambda *args: before.append(args[2].clone()))
    model(images())
    handle.remove()
    removed = before[0][(before[0] > 0) & (before[0] < 0.5)]
    assert len(removed)
    torch.testing.assert_close(regularizer.loss(), removed.sum() / 8)
    assert not ((model.seen[0] > 0) & (model.seen[0] < 0.5)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "l3"}, "unknown penalty 'l3'"),
        ({"penalty": 3}, "expected a penalty's name"),
        ({"weight": -1.0}, "expected a weight"),
        ({"weight": np.nan}, "expected a weight"),
        ({"weight": {"conv*": 1.0}}, "'conv\\*' matches none of the names; they are 'relu'"),
        ({"mean": "pixels"}, "unknown mean='pixels'"),
    ],
)
def test_bad_options_are_refused(options, message):
    model = Network()
    with pytest.raises(OptionError, match=message):
        ActivationRegularizer(model, **options)
    regularizer = ActivationRegularizer(model, "l1", 1.0)
    if "mean" not in options:
        with pytest.raises(OptionError, match=message):
            regularizer.use(**options)
        assert regularizer.penalty == L1()
        assert regularizer.weights == {"relu": 1.0, "shared": 1.0}


def test_a_model_without_relus_is_refused():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), nn.LeakyReLU())
    with pytest.raises(OptionError, match="no ReLU that can be reached"):
        ActivationRegularizer(model)
    with pytest.raises(OptionError, match="no ReLU that can be reached"):
        ActivationRegularizer(model, example_inputs=EXAMPLE)


def test_training_with_a_penalty_makes_zeros():
    """The whole point, in 60 steps."""
    shares = {}
    for weight in (0.0, 3e-3):
        torch.manual_seed(0)
        model = Network().train()
        regularizer = ActivationRegularizer(model, "transformed_l1", weight)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        pictures, labels = map(torch.from_numpy, bars(256))
        for step in range(60):
            chosen = slice(step % 8 * 32, step % 8 * 32 + 32)
            loss = nn.functional.cross_entropy(model(pictures[chosen]), labels[chosen])
            optimizer.zero_grad()
            (loss + regularizer.loss()).backward()
            optimizer.step()
        model.eval()(pictures)
        shares[weight] = float((model.seen[0] == 0).float().mean())
    assert shares[3e-3] > shares[0.0] + 0.1, shares
