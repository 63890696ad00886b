"""The package's modules import each other without circles, and the package imports nothing heavy."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tflite_sparse"


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(path):
    """The package's modules that a file imports, anywhere in it but for type checking."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in MODULES or node.module in MODULES:
                    yield name if name in MODULES else node.module


def test_no_module_imports_itself_through_others():
    graph = {
        # A package's __init__ may import its parts, and its parts nothing from it.
        name: {other for other in imported(path) if other != "tflite_sparse"} - {name}
        for name, path in MODULES.items()
    }
    assert len(graph) > 50
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_the_package_needs_numpy_alone():
    code = (
        "import sys, tflite_sparse as ts, tflite_sparse.places, tflite_sparse.convert; ts.MaskSet\n"
        "heavy = {'torch', 'keras', 'tensorflow', 'ai_edge_litert', 'litert_torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
