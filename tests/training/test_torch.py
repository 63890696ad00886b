"""Masks of a PyTorch model in training: counts, gradients, resuming, compiling."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn
from training_networks import SHAPES, SIZE, Residual, bars, logits, train

from tflite_sparse import lattice_masks, propagate_masks
from tflite_sparse.errors import MaskError
from tflite_sparse.torch import ActivationSparsifier
from tflite_sparse.training.draw import MASK_SOURCES
from tflite_sparse.training.schedule import Schedule


def sparsifier_of(model, sparsity=0.5, total_steps=20, **options):
    return ActivationSparsifier(model, SIZE, sparsity, total_steps, **options)


def tensors(masks):
    return {name: torch.from_numpy(mask.copy()) for name, mask in masks.items()}


@pytest.mark.parametrize("mask_source", MASK_SOURCES)
def test_counts_are_exact_at_each_step(mask_source):
    model = Residual()
    sparsifier = sparsifier_of(model, 0.3, update_every=2, mask_source=mask_source)
    schedule = Schedule(20, update_every=2)
    images = torch.from_numpy(bars(4)[0])
    for step in range(22):
        drawn = schedule.drawn_at(step)
        fraction = 0 if drawn is None else schedule.fraction(drawn)
        for name, mask in sparsifier.masks().items():
            assert mask.size - mask.sum() == round(0.3 * fraction * mask.size), (step, name)
        assert sparsifier.frozen == (step >= 18)
        model.train()(images)
        sparsifier.step()


def test_masks_change_at_each_draw_and_not_after_freezing():
    sparsifier = sparsifier_of(Residual(), update_every=4)
    seen = []
    for _ in range(24):
        seen.append(sparsifier.masks())
        sparsifier.step()
    changes = [step for step in range(1, 24) if seen[step] != seen[step - 1]]
    assert changes == [2, 6, 10, 14, 18]


def test_a_draw_can_be_repeated_from_the_masks():
    """The seed of a mask set is the one that propagate_masks makes it from."""
    options = {"mask_source": "propagated", "dense_until": 0, "freeze_from": 0}
    sparsifier = sparsifier_of(Residual(), seed=7, **options)
    masks = sparsifier.masks()
    assert propagate_masks(SHAPES, SIZE, 0.5, masks.seed) == masks
    other = sparsifier_of(Residual(), seed=8, **options)
    assert other.masks() != masks


def test_lattices_only_grow():
    sparsifier = sparsifier_of(Residual(), mask_source="lattice", seed=1)
    before = sparsifier.masks()
    for _ in range(20):
        sparsifier.step()
        after = sparsifier.masks()
        assert not any((after[name] & ~before[name]).any() for name in after)
        before = after
    assert after == lattice_masks(SHAPES, SIZE, 0.5, seed=1)


def test_alternating_lattices_agree_where_outputs_are_added():
    options = {"mask_source": "alternating", "dense_until": 0, "freeze_from": 0}
    masks = sparsifier_of(Residual(), layers="all", **options).masks()
    assert np.array_equal(masks["reduce"], ~masks["middle"])
    assert np.array_equal(masks["middle"], masks["shortcut"])


def test_sources_differ_as_they_should():
    options = {"dense_until": 0, "freeze_from": 0}
    propagated = sparsifier_of(Residual(), **options).masks()
    assert np.array_equal(propagated["reduce"], propagated["middle"])
    independent = sparsifier_of(Residual(), mask_source="independent", **options).masks()
    assert not np.array_equal(independent["reduce"], independent["middle"])


def test_magnitude_masks_the_weakest_pixels_after_the_activation():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(1, 1, 1))
    nn.init.ones_(model[0].weight)
    sparsifier = ActivationSparsifier(
        model, 4, 0.5, 4, dense_until=0, freeze_from=0.25, mask_source="magnitude", layers=["0"]
    )
    # Before the ReLU the negative half would be the stronger one.
    image = torch.cat([torch.full((2, 4), -9.0), torch.ones(2, 4)])[None, None]
    model.train()(image)
    sparsifier.step()
    assert sparsifier.masks()["0"].tolist() == [[False] * 4] * 2 + [[True] * 4] * 2


def test_magnitude_of_a_functional_activation():
    model = Residual()
    sparsifier = sparsifier_of(model, mask_source="magnitude", dense_until=0, freeze_from=0.05)
    seen = []
    handle = model.reduce.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train()(torch.from_numpy(bars(8)[0]))
    handle.remove()
    sparsifier.step()
    mean = seen[0].abs().mean((0, 1))
    mask = tensors(sparsifier.masks())["stem"]
    assert mean[mask].min() >= mean[~mask].max()


def test_magnitude_needs_a_forward_pass():
    sparsifier = sparsifier_of(Residual(), mask_source="magnitude")
    sparsifier.step()
    sparsifier.step()
    with pytest.raises(MaskError, match=r"no forward pass of layer 'stem' in training mode"):
        sparsifier.step()


def test_no_gradient_reaches_masked_pixels():
    model = Residual()
    sparsifier = sparsifier_of(model, dense_until=0, freeze_from=0)
    gradients = {}
    for name in SHAPES:
        # What leaves the convolution's BatchNorm, before the mask's hook sees it.
        getattr(model, f"{name}_bn").register_forward_hook(
            lambda module, inputs, output, name=name: (
                output.register_hook(lambda gradient: gradients.update({name: gradient})) and None
            ),
            prepend=True,
        )
    model.train()
    nn.functional.cross_entropy(
        model(torch.from_numpy(bars(8)[0])), torch.from_numpy(bars(8)[1])
    ).backward()
    for name, mask in tensors(sparsifier.masks()).items():
        assert (gradients[name][:, :, ~mask] == 0).all(), name
        assert (gradients[name][:, :, mask] != 0).any(), name


def test_infinite_values_do_not_pass_a_mask():
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    sparsifier = ActivationSparsifier(model, 4, 0.5, 1, 0, 0)
    output = model(torch.full((1, 1, 4, 4), torch.inf))[0, 0]
    mask = tensors(sparsifier.masks())["0"]
    assert (output[~mask] == 0).all()
    assert not output[mask].isfinite().any()


def test_set_masks_are_checked():
    sparsifier = sparsifier_of(Residual())
    masks = {name: np.ones(shape, bool) for name, shape in SHAPES.items()}
    with pytest.raises(MaskError, match="'stem' is missing"):
        sparsifier.set_masks({name: mask for name, mask in masks.items() if name != "stem"})
    with pytest.raises(MaskError, match=r"'stem' has the shape \[2, 2\], expected \[16, 16\]"):
        sparsifier.set_masks({**masks, "stem": np.ones((2, 2), bool)})


@pytest.mark.parametrize("mask_source", MASK_SOURCES)
@pytest.mark.parametrize("stop", [1, 7, 19])
def test_resuming_gives_the_same_run_bit_for_bit(mask_source, stop):
    def run(steps, state=None):
        torch.manual_seed(0)
        model = Residual()
        sparsifier = sparsifier_of(model, update_every=3, mask_source=mask_source)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            sparsifier.load_state_dict(json.loads(json.dumps(state["sparsifier"])))
        images, labels = map(torch.from_numpy, bars(8 * 24))
        model.train()
        for step in range(sparsifier.step_count, steps):
            part = slice(8 * step, 8 * step + 8)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimizer.step()
            sparsifier.step()
        return copy.deepcopy(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "sparsifier": sparsifier.state_dict(),
            }
        )

    whole = run(22)
    resumed = run(22, run(stop))
    assert resumed["sparsifier"] == whole["sparsifier"]
    for name, value in whole["model"].items():
        assert torch.equal(resumed["model"][name], value), name


def test_a_state_survives_a_weights_only_file(tmp_path):
    sparsifier = sparsifier_of(Residual(), dense_until=0, freeze_from=0)
    torch.save(sparsifier.state_dict(), tmp_path / "state.pt")
    other = sparsifier_of(Residual(), dense_until=0, freeze_from=0)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.masks() == sparsifier.masks()


def test_loading_puts_the_masks_in_force():
    trained = Residual()
    sparsifier = sparsifier_of(trained, dense_until=0, freeze_from=0.5)
    train(trained, sparsifier, 12)
    fresh = Residual()
    fresh.load_state_dict(trained.state_dict())
    images = bars(4)[0]
    assert not np.array_equal(logits(fresh, images), logits(trained, images))
    other = sparsifier_of(fresh, dense_until=0, freeze_from=0.5)
    other.load_state_dict(sparsifier.state_dict())
    np.testing.assert_array_equal(logits(fresh, images), logits(trained, images))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 3}, "made with seed=3, this sparsifier has seed=0"),
        ({"total_steps": 30}, "made with total_steps=30"),
        ({"layers": ["stem"]}, "made with layers="),
        ({"sparsity": 0.4}, "made with sparsity="),
    ],
)
def test_a_state_of_another_run_is_refused(change, text):
    sparsifier = sparsifier_of(Residual())
    before = sparsifier.state_dict()
    with pytest.raises(MaskError, match=text):
        sparsifier.load_state_dict(sparsifier_of(Residual(), **change).state_dict())
    assert sparsifier.state_dict() == before


@pytest.mark.parametrize("state", [{}, {"version": 99}, {"version": 1, "run": {}}])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(MaskError, match=r"state_dict\(\)|version 1, found 99"):
        sparsifier_of(Residual()).load_state_dict(state)


@pytest.mark.parametrize("around", ["before", "after"])
def test_compiled(around):
    """The compiled model sees masks begin and change, and is not compiled at each draw."""
    torch.compiler.reset()
    compilations = []

    def backend(graph, inputs):
        compilations.append(graph)
        return graph.forward

    model = Residual().eval()
    twin = copy.deepcopy(model)
    images = torch.from_numpy(bars(4)[0])
    if around == "before":
        compiled = torch.compile(model, backend=backend, fullgraph=True)
        compiled(images)
        sparsifier = sparsifier_of(compiled)
    else:
        sparsifier = sparsifier_of(model)
        compiled = torch.compile(model, backend=backend, fullgraph=True)
    plain = sparsifier_of(twin)
    compilations.clear()
    for _ in range(20):
        with torch.no_grad():
            torch.testing.assert_close(compiled(images), twin(images))
        sparsifier.step()
        plain.step()
    assert len(compilations) == 2  # dense, and with masks
    torch.compiler.reset()


def test_autocast():
    model = Residual()
    sparsifier = sparsifier_of(model, dense_until=0, freeze_from=0, layers=["middle"])
    seen = []
    model.middle_bn.register_forward_hook(lambda _, inputs, output: seen.append(output.clone()))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.from_numpy(bars(4)[0])).sum().backward()
    mask = tensors(sparsifier.masks())["middle"]
    assert seen[0].dtype == torch.bfloat16
    assert (seen[0][:, :, ~mask] == 0).all()
    assert model.stem.weight.grad.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model = Residual()
    sparsifier = sparsifier_of(model, dense_until=0, freeze_from=0.5)
    model.cuda()
    images = torch.from_numpy(bars(4)[0])
    for _ in range(12):
        model.train()(images.cuda()).sum().backward()
        sparsifier.step()
    found = model.eval()(images.cuda()).cpu()
    torch.testing.assert_close(found, model.cpu()(images), rtol=1e-3, atol=1e-3)


def test_a_tiny_training_reaches_its_accuracy():
    """Half of all pixels masked; chance is 25%."""
    model = Residual()
    sparsifier = sparsifier_of(model, 0.5, 150)
    train(model, sparsifier, 150)
    images, labels = bars(500, seed=1)
    assert sparsifier.masks().sparsity == pytest.approx(0.5, abs=0.01)
    assert (logits(model, images).argmax(1) == labels).mean() >= 0.9
