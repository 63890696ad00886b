"""Builds examples/litert_c against the runtime that is installed."""

import importlib.util
import subprocess
from pathlib import Path

from tflite_sparse.delegate import delegate_library

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "litert_c"


def litert_folder():
    """The folder with libLiteRt.so of the installed ai-edge-litert."""
    (folder,) = importlib.util.find_spec("ai_edge_litert").submodule_search_locations
    return Path(folder)


def build(target, litert=None, sparse=None, compiler="cc"):
    """Compile the example to `target`; libraries are those of this environment by default."""
    subprocess.run(
        [
            "make", "--silent", f"--directory={EXAMPLE}", f"OUT={target}", f"CC={compiler}",
            f"LITERT={litert or litert_folder()}", f"SPARSE={sparse or delegate_library().parent}",
        ],
        check=True,
    )  # fmt: skip
    return target
