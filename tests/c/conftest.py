import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The archive for C users, unpacked."""
    from tools.c_package import archive_of, unpack

    return unpack(archive_of(), tmp_path_factory.mktemp("prefix"))


@pytest.fixture(scope="session")
def run():
    """Runs a command that has to succeed; its standard output and error, together."""

    def run(*command, **environment):
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    return run
