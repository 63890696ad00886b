"""Schedules of zeros, without a framework: STAR, dual sparse training, the search for thresholds."""

import json
import math

import numpy as np
import pytest

from tflite_sparse.errors import OptionError
from tflite_sparse.training.dual_sparse import DualSparse
from tflite_sparse.training.penalties import L1, PartialL1, TransformedL1
from tflite_sparse.training.pruning import Pruner, keep_largest
from tflite_sparse.training.regularizer import Regularizer
from tflite_sparse.training.similarity import Similarity, compare_weights
from tflite_sparse.training.star import Star
from tflite_sparse.training.threshold_search import search


class Penalties(Regularizer):
    def __init__(self):
        self._start(["a", "b"], "l1", 1.0, "batch")

    def loss(self):
        return 0.0

    def remove(self):
        pass


class Weights(Pruner):
    """A network of ten weights that a training step moves."""

    def __init__(self):
        super().__init__()
        self.weight = 0.0
        self.values = {
            "a": np.arange(1.0, 7).reshape(2, 3),
            "b": -np.array([0.6, 10.0, 2.5, 20.0]),
        }

    def use(self, weight):
        self.weight = weight

    def _read(self):
        return self.values

    def _write(self, masks):
        for name, mask in masks.items():
            self.values[name] = self.values[name] * mask

    def train(self):
        self.values = {name: values + 0.25 for name, values in self.values.items()}

    def zeros(self):
        return sum(int((values == 0).sum()) for values in self.values.values())


def star_of(**options):
    regularizer, thresholds = Penalties(), []
    return regularizer, thresholds, Star(regularizer, thresholds.append, 10, **options)


def test_star_has_two_phases():
    regularizer, thresholds, star = star_of(t=0.25, switch_at=0.4, weight=1e-6, partial_weight=1e-5)
    seen = []
    for _ in range(12):
        seen.append((star.phase, regularizer.penalty, regularizer.weights["a"], thresholds[-1]))
        star.step()
    assert seen[:4] == [("l1", L1(), 1e-6, 0.0)] * 4
    assert seen[4:] == [("thresholds", PartialL1(0.25), 1e-5, 0.25)] * 8
    assert thresholds == [0.0, 0.25]
    assert star.begins == {"l1": 0, "thresholds": 4}


@pytest.mark.parametrize("steps", [2, 4, 9])
def test_star_resumes(steps):
    _, _, star = star_of(switch_at=0.4)
    for _ in range(steps):
        star.step()
    state = json.loads(json.dumps(star.state_dict()))
    regularizer, thresholds, other = star_of(switch_at=0.4)
    other.load_state_dict(state)
    assert (other.phase, other.step_count) == (star.phase, steps)
    assert regularizer.penalty == (L1() if steps < 4 else PartialL1(2**-4))
    assert thresholds[-1] == (0.0 if steps < 4 else 2**-4)
    _, _, third = star_of(switch_at=0.5)
    with pytest.raises(OptionError, match=r"made with switch_at=0.4, this Star has switch_at=0.5"):
        third.load_state_dict(state)
    with pytest.raises(OptionError, match="not what state_dict"):
        third.load_state_dict({"version": 1})
    assert third.step_count == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t": 0.3}, "power of two"),
        ({"t": 0.0}, "power of two"),
        ({"t": math.nan}, "power of two"),
        ({"switch_at": 1.5}, "at fractions in"),
        ({"weight": -1.0}, "expected a weight"),
    ],
)
def test_bad_options_of_star(options, message):
    with pytest.raises(OptionError, match=message):
        star_of(**options)


def dual_of(**options):
    pruner, regularizer = Weights(), Penalties()
    options = {
        "weights_from": 0.2,
        "prune_at": 0.5,
        "activations_from": 0.7,
        "weight_l1": 1e-3,
        "activation_weight": 1e-4,
        **options,
    }
    return pruner, regularizer, DualSparse(pruner, regularizer, 10, **options)


def test_dual_sparse_has_four_phases():
    pruner, regularizer, dual = dual_of()
    seen = []
    for _ in range(10):
        seen.append((dual.phase, pruner.weight, regularizer.weights["a"], pruner.zeros()))
        pruner.train()
        dual.step()
    assert seen == [
        *[("dense", 0.0, 0.0, 0)] * 2,
        *[("weights", 1e-3, 0.0, 0)] * 3,
        *[("pruned", 0.0, 0.0, 6)] * 2,
        *[("activations", 0.0, 1e-4, 6)] * 3,
    ]
    assert regularizer.penalty == TransformedL1()
    assert pruner.sparsity == 0.6


def test_dual_sparse_resumes_with_its_pruned_weights():
    pruner, _, dual = dual_of()
    for _ in range(8):
        pruner.train()
        dual.step()
    state = json.loads(json.dumps(dual.state_dict()))
    other, regularizer, resumed = dual_of()
    resumed.load_state_dict(state)
    assert (resumed.phase, resumed.step_count) == ("activations", 8)
    assert regularizer.weights["b"] == 1e-4
    for name, values in pruner.values.items():
        assert ((other.values[name] == 0) == (values == 0)).all()
    other.train()
    resumed.step()
    assert other.zeros() == 6
    with pytest.raises(OptionError, match="not what state_dict"):
        dual_of()[2].load_state_dict({k: v for k, v in state.items() if k != "pruned"})


def test_a_phase_without_steps_still_prunes():
    pruner, _, dual = dual_of(weights_from=0.0, prune_at=0.0, activations_from=0.0)
    assert dual.phase == "activations"
    assert pruner.zeros() == 6


def test_the_smallest_weights_of_all_layers_are_pruned():
    weights = Weights().values
    masks = keep_largest(weights, 0.4)
    assert masks["a"].tolist() == [[False, False, True], [True, True, True]]
    assert masks["b"].tolist() == [False, True, False, True]
    equal = keep_largest({"a": np.ones(4), "b": np.ones(4)}, 0.5)
    assert equal["a"].tolist() + equal["b"].tolist() == [False] * 4 + [True] * 4
    with pytest.raises(OptionError, match="sparsity of weights"):
        keep_largest(weights, 1.0)


@pytest.mark.parametrize(
    "options",
    [{"weight_sparsity": 1.0}, {"prune_at": 0.1}, {"activations_from": 1.1}],
)
def test_bad_options_of_dual_sparse(options):
    with pytest.raises(OptionError):
        dual_of(**options)


class Net:
    """Its loss rises with each layer's threshold, by that layer's slope."""

    def __init__(self, **slopes):
        self.slopes = slopes
        self.thresholds = None
        self.evaluations = 0

    def apply(self, thresholds):
        self.thresholds = dict(thresholds)

    def loss(self):
        self.evaluations += 1
        return 1 + sum(self.slopes[name] * t for name, t in self.thresholds.items())


def test_the_search_finds_one_power_of_two_for_all():
    net = Net(a=1.0, b=3.0)
    found = search(["a", "b"], net.apply, net.loss, 0.6)
    assert found.thresholds == net.thresholds == {"a": 0.125, "b": 0.125}
    assert found.loss == 1.5
    assert found.dense_loss == 1.0
    assert found.evaluations == net.evaluations == 7


def test_the_search_goes_on_per_layer():
    net = Net(a=1.0, b=3.0)
    found = search(["a", "b"], net.apply, net.loss, 0.65, per_layer=True)
    assert found.thresholds == net.thresholds == {"a": 0.25, "b": 0.125}
    assert found.loss == 1.625


def test_the_search_may_find_nothing_or_all():
    net = Net(a=100.0)
    assert search(["a"], net.apply, net.loss, 0.1, per_layer=True).thresholds == {"a": 0.0}
    assert net.thresholds == {"a": 0.0}
    free = Net(a=0.0)
    assert search(["a"], free.apply, free.loss, 0.0, per_layer=True).thresholds == {"a": 0.5}
    broken = Net(a=math.nan)
    with pytest.raises(OptionError, match="without thresholds"):
        search(["a"], broken.apply, broken.loss, 0.1)
    assert broken.thresholds == {"a": 0.0}


@pytest.mark.parametrize(
    "options", [{"budget": -1}, {"budget": math.nan}, {"exponents": []}, {"exponents": [1, 0]}]
)
def test_bad_options_of_the_search(options):
    net = Net(a=1.0)
    with pytest.raises(OptionError):
        search(["a"], net.apply, net.loss, **{"budget": 0.1, **options})


def test_weights_are_compared():
    """In both frameworks, against the definitions written out."""
    import keras
    import torch

    first = {"a": np.array([[3.0, 0.0]]), "b": np.array([4.0])}
    second = {"a": np.array([[0.0, 3.0]]), "b": np.array([4.0])}
    found = compare_weights(first, second)
    assert found["a"] == Similarity(math.sqrt(18), 0.0)
    assert found["b"] == Similarity(0.0, 1.0)
    assert found[""] == Similarity(math.sqrt(18), pytest.approx(16 / 25))
    tensors = {name: torch.nn.Parameter(torch.from_numpy(v)) for name, v in first.items()}
    variables = {name: keras.Variable(v, dtype="float64") for name, v in second.items()}
    assert compare_weights(tensors, variables) == found
    assert math.isnan(compare_weights({"a": [0.0]}, {"a": [1.0]})["a"].cosine)
    for other in ({"a": first["a"]}, {"a": first["a"], "b": np.zeros(2)}, {}):
        with pytest.raises(OptionError):
            compare_weights(first, other)
    with pytest.raises(OptionError):
        compare_weights({}, {})
