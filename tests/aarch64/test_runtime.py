"""The tests of every interpreter, on the wheel's own and emulated processors."""

import re

from tests.aarch64.board import ROOT, on_board

# The others start processes, which emulation of a single one cannot.
FILES = ("test_interface.py", "test_outputs.py")


def test_the_runtime_built_in(cpu, package):
    files = [str(ROOT / "tests" / "runtime" / name) for name in FILES]
    # The wheel is under test and not the checkout.
    options = ("-q", "--runtime", "built-in", "-o", "pythonpath=")
    done = on_board(cpu, package, "built-in", "-m", "pytest", *options, *files)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert int(passed[1]) > 60
    assert "skipped" not in done.stdout
