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
from tflite_sparse.training import search_masks
from tflite_sparse.training.torch import ActivationSparsifier


def _process(rank, port, mask_source, seeds, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Residual())
    images, labels = map(torch.from_numpy, bars(64, seed=rank))  # other images in each
    found = []

    def search(sparsifier):
        # The losses of the processes disagree about which candidate is best.
        losses = iter([2.0, 1.0, 5.0] if rank else [5.0, 1.5, 1.0])
        found.append(search_masks(sparsifier, lambda: next(losses), 3).best)

    sparsifier = ActivationSparsifier(
        model,
        SIZE,
        0.5,
        8,
        dense_until=0,
        freeze_from=0.75,
        seed=seeds[rank],
        mask_source=mask_source,
        on_freeze=None if mask_source == "magnitude" else search,
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    seen = []
    try:
        for step in range(8):
            part = slice(8 * step, 8 * step + 8)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimizer.step()
            sparsifier.step()
            seen.append(sparsifier.state_dict()["masks"])
        error = None
    except MaskError as raised:
        error = str(raised)
    weight = model.module.stem.weight.tolist()
    result = {"masks": seen, "best": found, "error": error, "weight": weight}
    (folder / f"{rank}.json").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


def run(mask_source, seeds, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_process, (port, mask_source, seeds, folder), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("mask_source", ["propagated", "magnitude"])
def test_both_draw_the_same_masks(mask_source, tmp_path):
    first, second = run(mask_source, (3, 3), tmp_path)
    assert first["error"] is None
    assert len(first["masks"]) == 8
    assert first == second
    assert first["masks"][-1] != first["masks"][2]
    if mask_source == "propagated":
        assert first["best"] == [1]  # means 3.5, 1.25, 3.0


def test_processes_with_other_seeds_are_told(tmp_path):
    for result in run("propagated", (3, 4), tmp_path):
        assert "processes of this training drew different masks at step 1" in result["error"]
        assert "seed" in result["error"]
