"""Reading what a user hands in, and writing files so that a failure never damages what was there."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import OptionError


def read_array(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array of a .npy file.

    Raises:
        OptionError: the file holds something else.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, MemoryError) as error:
            raise OptionError(
                f"{os.fspath(path)}: expected an array that numpy.save wrote (.npy): {error}"
            ) from error


def read_image(path: str | os.PathLike[str], mode: str, size: tuple[int, int] | None = None) -> Any:
    """A picture, as a PIL.Image.

    Args:
        path: the file.
        mode: one of Pillow's modes, say "RGB".
        size: (width, height) to resize it to; its own if None.

    Raises:
        OptionError: Pillow is not installed, or knows no picture in the file.
        OSError: the file cannot be read.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise OptionError(
            "reading and writing pictures needs Pillow; install it: pip install pillow"
        ) from error
    with open(path, "rb") as file:
        try:
            picture = Image.open(file).convert(mode)
        except (
            OSError,
            SyntaxError,
            ValueError,
            struct.error,
            Image.DecompressionBombError,
        ) as error:
            other = isinstance(error, UnidentifiedImageError)
            found = "another kind of file" if other else str(error)
            raise OptionError(
                f"{os.fspath(path)}: expected a picture that Pillow reads, found {found}"
            ) from error
    return picture.resize(size, Image.Resampling.BILINEAR) if size else picture


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
