"""Writing files so that a failure never damages what was there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path``, or leave whatever was at ``path`` as it was.

    The bytes go to a temporary file in the same folder, which replaces ``path``
    only when it is complete.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(
            f"cannot write {target}: expected a file name, found a folder; name a file inside it"
        )
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OSError(
            f"cannot write {target}: {error.strerror}; name a file in a folder that exists and can "
            "be written"
        ) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        # mkstemp makes private files; a model or sidecar gets the user's usual permissions.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
