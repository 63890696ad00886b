"""Two real processes with gloo under DistributedDataParallel."""

import json
import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn
from training_networks import SIZE, Residual, bars

from tflite_sparse.errors import MaskError
from tflite_sparse.torch import ActivationSparsifier
from tflite_sparse.training import search_masks


def _train(rank, mask_source, seed):
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Residual())
    images, labels = map(torch.from_numpy, bars(64, seed=rank))  # other images in each
    found = []

    def search(sparsifier):
        # The processes disagree about which candidate is best.
        losses = iter([2.0, 1.0, 5.0] if rank else [5.0, 1.5, 1.0])
        found.append(search_masks(sparsifier, lambda: next(losses), 3).best)

    sparsifier = ActivationSparsifier(
        model,
        SIZE,
        0.5,
        8,
        dense_until=0,
        freeze_from=0.75,
        seed=seed,
        mask_source=mask_source,
        on_freeze=None if mask_source == "magnitude" else search,
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    masks, error = [], None
    try:
        for step in range(8):
            part = slice(8 * step, 8 * step + 8)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimizer.step()
            sparsifier.step()
            masks.append(sparsifier.state_dict()["masks"])
    except MaskError as raised:
        error = str(raised)
    weight = model.module.stem.weight.tolist()
    return {"masks": masks, "best": found, "error": error, "weight": weight}


def _process(rank, port, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    results = {
        "propagated": _train(rank, "propagated", 3),
        "magnitude": _train(rank, "magnitude", 3),
        "other seeds": _train(rank, "propagated", 3 + rank),
    }
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_process, (port, folder), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("mask_source", ["propagated", "magnitude"])
def test_both_draw_the_same_masks(results, mask_source):
    first, second = (result[mask_source] for result in results)
    assert first["error"] is None
    assert len(first["masks"]) == 8
    assert first == second
    assert first["masks"][-1] != first["masks"][2]


def test_both_choose_the_same_candidate(results):
    for result in results:
        assert result["propagated"]["best"] == [1]  # the mean losses are 3.5, 1.25 and 3.0


def test_processes_with_other_seeds_are_told(results):
    for result in results:
        error = result["other seeds"]["error"]
        assert "processes of this training drew different masks at step 1" in error
        assert "seed" in error
