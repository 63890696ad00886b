"""tools/fetch_sources.py against a real apt and a real pip, with mirrors on disk."""

import errno
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tools import fetch_sources
from tools.fetch_sources import FetchError, Mirror, Source

needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is Debian's")

TARBALL = b"not really a tarball, and nobody unpacks it here"


def digest(kind, data):
    return hashlib.new(kind, data).hexdigest()


class DebianMirror:
    """A Debian archive with one source package, and the apt configuration that names it."""

    def __init__(self, root, version="1.0-1", file="widget_1.0.orig.tar.xz"):
        self.root = root
        self.file = root / "pool" / file
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(TARBALL)
        dsc = b"Format: 3.0 (quilt)\nSource: widget\n"
        (root / "pool" / "widget.dsc").write_bytes(dsc)
        files = [(dsc, "widget.dsc"), (TARBALL, file)]
        record = [
            "Package: widget",
            "Format: 3.0 (quilt)",
            "Binary: widget",
            "Architecture: any",
            f"Version: {version}",
            "Directory: pool",
        ]
        for field, kind in (("Files", "md5"), ("Checksums-Sha256", "sha256")):
            record.append(f"{field}:")
            record += [f" {digest(kind, data)} {len(data)} {name}" for data, name in files]
        index = ("\n".join(record) + "\n").encode()
        suite = root / "dists" / "trixie"
        (suite / "main" / "source").mkdir(parents=True)
        (suite / "main" / "source" / "Sources").write_bytes(index)
        (suite / "Release").write_text(
            "Origin: Test\nSuite: trixie\nCodename: trixie\nComponents: main\nArchitectures: source\n"
            f"SHA256:\n {digest('sha256', index)} {len(index)} main/source/Sources\n"
        )
        self.apt = root / "etc-apt"
        (self.apt / "sources.list.d").mkdir(parents=True)
        self.configure(f"file:{root}")

    def configure(self, uri):
        (self.apt / "sources.list").write_text(f"deb [trusted=yes] {uri} bookworm main\n")


@pytest.fixture
def mirror(tmp_path):
    return DebianMirror(tmp_path / "mirror")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def widget(data=TARBALL):
    return Source("widget", "1.0-1", "trixie", "widget_1.0.orig.tar.xz", digest("sha256", data))


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@needs_apt
def test_a_source_is_fetched_once(mirror, cache):
    before = {path: path.stat().st_mtime_ns for path in Path("/var/lib/apt").rglob("*")}
    assert fetch_sources.fetch_all([widget()], cache, mirror.apt) == ["widget_1.0.orig.tar.xz"]
    kept = cache / "sources" / "widget_1.0.orig.tar.xz"
    assert kept.read_bytes() == TARBALL
    assert not kept.is_symlink()
    assert files_in(cache) == ["sources/widget_1.0.orig.tar.xz"]
    assert before == {path: path.stat().st_mtime_ns for path in Path("/var/lib/apt").rglob("*")}

    shutil.rmtree(mirror.root)
    assert fetch_sources.fetch_all([widget()], cache, mirror.apt) == []


@needs_apt
def test_a_damaged_file_is_fetched_again(mirror, cache):
    kept = cache / "sources" / "widget_1.0.orig.tar.xz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(TARBALL[:10])
    assert fetch_sources.fetch_all([widget()], cache, mirror.apt) == [kept.name]
    assert kept.read_bytes() == TARBALL


@needs_apt
def test_a_newer_debian_revision_around_the_same_file_will_do(tmp_path, cache):
    mirror = DebianMirror(tmp_path / "mirror", version="1.0-7")
    assert fetch_sources.fetch_all([widget()], cache, mirror.apt) == ["widget_1.0.orig.tar.xz"]


@needs_apt
def test_no_network(mirror, cache):
    mirror.configure(f"file:{mirror.root}/nowhere")
    with pytest.raises(FetchError, match=r"(?s)package lists.*Check the network.*by hand"):
        fetch_sources.fetch_all([widget()], cache, mirror.apt)
    assert files_in(cache) == []


@needs_apt
def test_gone_from_the_mirror(tmp_path, cache):
    mirror = DebianMirror(tmp_path / "mirror", version="2.0-1", file="widget_2.0.orig.tar.xz")
    with pytest.raises(FetchError) as caught:
        fetch_sources.fetch_all([widget()], cache, mirror.apt)
    assert "widget_1.0.orig.tar.xz is gone from the mirror" in str(caught.value)
    assert "now at 2.0-1" in str(caught.value)
    assert "by hand" in str(caught.value)


@needs_apt
def test_listed_but_not_there(mirror, cache):
    mirror.file.unlink()
    with pytest.raises(
        FetchError, match=r"widget_1\.0\.orig\.tar\.xz .*did not arrive.*Run this again"
    ):
        fetch_sources.fetch_all([widget()], cache, mirror.apt)
    assert files_in(cache) == []


@needs_apt
def test_another_checksum_is_not_kept(mirror, cache):
    pinned = widget(b"what the lock file pins")
    with pytest.raises(FetchError) as caught:
        fetch_sources.fetch_all([pinned], cache, mirror.apt)
    assert f"expected sha256 {pinned.sha256}" in str(caught.value)
    assert f"found    sha256 {digest('sha256', TARBALL)}" in str(caught.value)
    assert files_in(cache) == []
    assert mirror.file.exists()


def test_no_apt(cache, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FetchError) as caught:
        fetch_sources.fetch_all([widget()], cache, fetch_sources.APT_ROOT)
    assert "no apt-get" in str(caught.value)
    assert f"{widget().sha256}  widget_1.0.orig.tar.xz" in str(caught.value)
    assert "Debian container" in str(caught.value)


@needs_apt
def test_disk_full(mirror, cache, tmp_path, monkeypatch, capsys):
    def full(source, target):
        Path(target).write_bytes(TARBALL[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    lock = tmp_path / "lock"
    lock.write_text(" ".join(vars(widget()).values()))
    monkeypatch.setattr(shutil, "copyfile", full)
    monkeypatch.setattr(fetch_sources, "APT_ROOT", mirror.apt)
    assert fetch_sources.main(["--cache", str(cache), "--lock", str(lock)]) == 1
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert "Free 1 GB" in message
    assert "TFLITE_SPARSE_CACHE" in message
    assert files_in(cache) == []


def make_wheel(folder):
    """A wheel that carries a program, as the compiler's does."""
    wheel = folder / "gadget-3.0-py3-none-any.whl"
    folder.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        program = zipfile.ZipInfo("gadget/program")
        program.external_attr = 0o755 << 16
        archive.writestr(program, "#!/bin/sh\n")
        archive.writestr("gadget/lib/header.h", "int x;\n")
        info = "gadget-3.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: gadget\nVersion: 3.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return Source("gadget", "3.0", "pypi", wheel.name, digest("sha256", wheel.read_bytes()))


def test_a_wheel_is_fetched_and_unpacked(tmp_path, cache, monkeypatch):
    gadget = make_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    assert fetch_sources.fetch_all([gadget], cache, fetch_sources.APT_ROOT) == [gadget.file]
    assert files_in(cache) == [
        "gadget-3.0/lib/header.h",
        "gadget-3.0/program",
        f"sources/{gadget.file}",
    ]
    assert (cache / "gadget-3.0" / "program").stat().st_mode & 0o111
    assert not (cache / "gadget-3.0" / "lib" / "header.h").stat().st_mode & 0o111

    shutil.rmtree(tmp_path / "index")
    shutil.rmtree(cache / "gadget-3.0")
    assert fetch_sources.fetch_all([gadget], cache, fetch_sources.APT_ROOT) == []
    assert (cache / "gadget-3.0" / "program").exists()


def test_a_wheel_that_pip_cannot_get(tmp_path, cache, monkeypatch):
    gadget = make_wheel(tmp_path / "index")
    shutil.rmtree(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FetchError) as caught:
        fetch_sources.fetch_all([gadget], cache, fetch_sources.APT_ROOT)
    assert "pip download gadget==3.0" in str(caught.value)
    assert sys.executable in str(caught.value)
    assert files_in(cache) == []


DEB822 = """\
# The main archive
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
SECURITY = DEB822.replace("bookworm bookworm-updates", "bookworm-security").replace(
    "mirror", "security"
)
INLINE_KEY = DEB822.split("Signed-By")[0] + "Signed-By:\n -----BEGIN PGP-----\n .\n mQ==\n"
KEYRING = ("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",)


@pytest.mark.parametrize(
    ("name", "text", "trust"),
    [
        ("sources.list.d/debian.sources", DEB822, KEYRING),
        ("sources.list.d/debian.sources", f"{SECURITY}\n{DEB822}", KEYRING),
        (
            "sources.list.d/debian.sources",
            f"{DEB822.replace('mirror', 'off')}Enabled: no\n\n{DEB822}",
            KEYRING,
        ),
        ("sources.list.d/debian.sources", f"{DEB822}Trusted: yes\n", (*KEYRING, "Trusted: yes")),
        (
            "sources.list.d/debian.sources",
            INLINE_KEY,
            ("Signed-By: -----BEGIN PGP-----\n .\n mQ==",),
        ),
        ("sources.list", "deb http://mirror.test/debian bookworm main contrib # comment\n", ()),
        (
            "sources.list",
            "# deb http://old.test bookworm main\n"
            "deb http://security.test/debian bookworm-security main\n"
            "deb http://other.test/nonfree bookworm contrib\n"
            f"deb-src [arch=amd64 signed-by={KEYRING[0].split()[1]}] http://mirror.test/debian trixie main\n",
            KEYRING,
        ),
        ("sources.list.d/local.list", "deb http://mirror.test/debian bookworm main\n", ()),
    ],
)
def test_the_mirror_is_the_machines_own(tmp_path, name, text, trust):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    assert fetch_sources.read_mirror(tmp_path) == Mirror("http://mirror.test/debian", trust)


def test_no_mirror_is_configured(tmp_path):
    (tmp_path / "sources.list").write_text("deb http://security.test bookworm-security main\n")
    with pytest.raises(FetchError, match="no Debian mirror is configured"):
        fetch_sources.read_mirror(tmp_path)


def test_a_malformed_lock_line_is_named(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("# comment\n\nwidget 1.0 trixie\n")
    with pytest.raises(FetchError, match=r"lock:3: expected 5 fields .*found 3"):
        fetch_sources.read_lock(lock)


def test_the_lock_file_is_sound():
    sources = fetch_sources.read_lock()
    assert len({source.package for source in sources}) == len(sources)
    assert all(len(bytes.fromhex(source.sha256)) == 32 for source in sources)
