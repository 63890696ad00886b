"""Runs models in all modes in one interpreter; prints nothing, writes the outputs to a .npz.

    python program.py RUNTIME OUTPUT.npz MODEL.tflite...

The Arm system and this machine run the same program, so that their outputs can be compared.
Arrays are named MODEL/MODE/NUMBER; MODE is one of ours, or "stock" for the runtime's own kernels.
"""

import sys
from pathlib import Path

import numpy as np

import tflite_sparse as ts
from tests.runtime.models import inputs, run
from tflite_sparse.runtime import find_runtime


def main():
    runtime, target, *models = sys.argv[1:]
    arrays = {}
    for path in map(Path, models):
        content = path.read_bytes()
        reference = find_runtime(runtime).module.Interpreter(model_content=content, num_threads=1)
        reference.allocate_tensors()
        values = inputs(reference)
        outputs = {"stock": run(reference, values)}
        for mode in ("off", "insert", "compact"):
            with ts.Interpreter(
                model_content=content, runtime=runtime, mode=mode, num_threads=2
            ) as interpreter:
                interpreter.allocate_tensors()
                outputs[mode] = run(interpreter, values)
                report = interpreter.sparsity_report()
            assert report.left == (), f"{path.name}: left to the interpreter: {report.left}"
            forms = {layer.form for layer in report.layers}
            assert mode == "off" or "insert" in forms or "compact" in forms, f"{path.name}: {forms}"
        for mode, tensors in outputs.items():
            for number, tensor in enumerate(tensors):
                arrays[f"{path.stem}/{mode}/{number}"] = tensor
    np.savez(target, **arrays)


if __name__ == "__main__":
    main()
