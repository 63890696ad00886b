"""How a wheel is packed: the same input gives the same bytes, whoever packs it and when."""

import os
import shutil

from tflite_sparse.delegate import delegate_library
from tools import wheel


def packed(folder):
    folder.mkdir()
    return wheel.retag(wheel.build([delegate_library()], folder), "linux_x86_64").read_bytes()


def test_modes_times_and_umask_do_not_show(tmp_path, monkeypatch):
    expected = packed(tmp_path / "first")
    # The tree as somebody with other habits checks it out, years ago.
    other = tmp_path / "checkout"
    other.mkdir()
    for name in ("tflite_sparse", "tools"):
        shutil.copytree(wheel.ROOT / name, other / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(wheel.ROOT / name, other)
    for path in sorted(other.rglob("*"), reverse=True):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(wheel, "ROOT", other)
    before = os.umask(0o077)
    try:
        found = packed(tmp_path / "second")
    finally:
        os.umask(before)
    assert found == expected
