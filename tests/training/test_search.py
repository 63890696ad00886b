"""Choosing among frozen masks."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from training_networks import SIZE, Residual, bars, keras_residual, train

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.torch import ActivationSparsifier
from tflite_sparse.training import search_masks


def frozen(**options):
    return ActivationSparsifier(Residual(), SIZE, 0.5, 10, dense_until=0, freeze_from=0, **options)


def test_the_lowest_loss_wins_and_is_in_force():
    sparsifier = frozen()
    drawn = sparsifier.masks()
    seen = []

    def loss():
        seen.append(sparsifier.masks())
        return [3.0, math.nan, 1.0, 1.0, 2.0][len(seen) - 1]

    found = search_masks(sparsifier, loss, 5)
    assert found.best == 2
    assert found.losses[:1] + found.losses[2:] == (3.0, 1.0, 1.0, 2.0)
    assert seen[0] == drawn
    assert len({hash(masks) for masks in seen}) == 5
    assert {masks.sparsity for masks in seen} == {0.5}
    assert found.masks == seen[2] == sparsifier.masks()
    for _ in range(12):
        sparsifier.step()
    assert sparsifier.masks() == seen[2]


def test_the_loss_sees_the_model_with_each_candidate():
    images, labels = map(torch.from_numpy, bars(64))
    model = Residual()
    found = []

    @torch.no_grad()
    def held_out():
        model.eval()
        loss = nn.functional.cross_entropy(model(images), labels)
        model.train()
        return float(loss)

    sparsifier = ActivationSparsifier(
        model,
        SIZE,
        0.5,
        20,
        mask_source="propagated",
        on_freeze=lambda s: found.append(search_masks(s, held_out, 4)),
    )
    train(model, sparsifier, 18)
    (search,) = found
    assert len(set(search.losses)) == 4
    assert held_out() == min(search.losses)


def test_the_same_candidates_in_keras():
    from tflite_sparse.keras import ActivationSparsifier as KerasSparsifier

    ours = KerasSparsifier(keras_residual(), SIZE, 0.5, 10, dense_until=0, freeze_from=0)
    losses = iter([2.0, 1.0, 3.0])
    found = search_masks(ours, lambda: next(losses), 3)
    assert found.masks == frozen().draw_candidate(1)
    assert np.array_equal(ours.model.get_layer("stem_mask").mask != 0, found.masks["stem"])


def test_a_search_that_fails_leaves_the_masks():
    sparsifier = frozen()
    before = sparsifier.masks()
    with pytest.raises(MaskError, match="no candidate has a finite loss"):
        search_masks(sparsifier, lambda: math.inf, 2)
    assert sparsifier.masks() == before
    with pytest.raises(ZeroDivisionError):
        search_masks(sparsifier, lambda: 1 / 0, 2)
    assert sparsifier.masks() == before


def test_errors():
    with pytest.raises(MaskError, match="step 0 of 10, frozen from 9; pass the search as on_free"):
        search_masks(ActivationSparsifier(Residual(), SIZE, 0.5, 10), lambda: 0.0)
    with pytest.raises(OptionError, match="at least 1 candidate"):
        search_masks(frozen(), lambda: 0.0, 0)
    sparsifier = ActivationSparsifier(Residual(), SIZE, 0.5, 10, 0, 0.1, mask_source="magnitude")
    sparsifier._step_count = 5
    with pytest.raises(OptionError, match="one set of masks"):
        search_masks(sparsifier, lambda: 0.0)
