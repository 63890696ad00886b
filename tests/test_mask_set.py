"""MaskSet: what it accepts, what it refuses, and its two file formats."""

import contextlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks import MaskSet

mask_arrays = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
mask_sets = st.builds(
    MaskSet,
    st.dictionaries(st.text(min_size=1), mask_arrays, min_size=1, max_size=5),
    seed=st.none() | st.integers(0, 2**63),
    sparsity=st.none() | st.floats(0, 1),
    fingerprint=st.none() | st.text(),
)


@pytest.fixture
def sidecar(tmp_path):
    """A valid sidecar's path, to be damaged."""
    path = tmp_path / "m.masks.npz"
    MaskSet({"conv1": np.eye(3), "conv2": np.eye(3)}, seed=7).save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


@given(masks=mask_sets)
def test_save_then_load_gives_the_same_set(tmp_path_factory, masks):
    path = tmp_path_factory.mktemp("sidecar") / "m.masks.npz"
    masks.save(path)
    assert MaskSet.load(path) == masks
    assert list(MaskSet.load(path)) == list(masks)


def test_sidecar_is_read_by_numpy_alone_and_stores_equal_masks_once(sidecar):
    with np.load(sidecar, allow_pickle=False) as archive:
        assert sorted(archive) == ["mask_0", "metadata"]
        assert archive["mask_0"].tolist() == np.eye(3, dtype=bool).tolist()
        metadata = json.loads(archive["metadata"].tobytes())
    assert metadata["version"] == 1
    assert metadata["seed"] == 7
    assert metadata["layers"][1] == {
        "layer": "conv2",
        "mask": "mask_0",
        "shape": [3, 3],
        "kept": 3,
    }


def test_equal_sets_make_equal_files(tmp_path, sidecar):
    again = tmp_path / "again.npz"
    MaskSet.load(sidecar).save(again)
    assert again.read_bytes() == sidecar.read_bytes()


def test_figures():
    masks = MaskSet({"a": [[1, 0], [0, 0]], "b": np.ones((2, 6))})
    assert masks.kept("a") == 1
    assert masks.sparsity_of("a") == 0.75
    assert masks.sparsity == pytest.approx(3 / 16)
    assert len(masks) == 2
    assert "2 masks" in repr(masks)


def test_is_immutable():
    source = np.ones((2, 2), bool)
    masks = MaskSet({"a": source})
    source[0, 0] = False
    assert masks["a"].all()
    with pytest.raises(ValueError, match="read-only"):
        masks["a"][0, 0] = False
    with pytest.raises(TypeError):
        masks["a"] = source


def test_equality_and_hash_see_masks_and_metadata():
    one = MaskSet({"a": np.eye(2)}, seed=1)
    assert one == MaskSet({"a": np.eye(2)}, seed=1)
    assert hash(one) == hash(MaskSet({"a": np.eye(2)}, seed=1))
    assert one != MaskSet({"a": np.ones((2, 2))}, seed=1)
    assert one != one.replace(seed=2)
    assert one.replace(seed=2).seed == 2


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ({}, "empty set"),
        ({"conv3": np.ones((1, 4, 4, 1))}, r"'conv3' has the shape \[1, 4, 4, 1\]"),
        ({"conv3": np.ones((0, 4))}, r"'conv3' has the shape \[0, 4\]"),
        ({"conv3": np.full((2, 2), 0.5)}, "'conv3' is not binary: found 0.5"),
        ({"conv3": np.full((2, 2), np.nan)}, "'conv3' is not binary: found nan"),
        ({"conv3": [[1, 2]]}, "'conv3' is not binary: found 2"),
        ({"conv3": [["1", "0"]]}, "'conv3' has elements of type"),
        ({"conv3": [[1, 0], [1]]}, "'conv3' .*rows differ"),
        ([("conv3", np.eye(2)), ("conv3", np.eye(2))], "'conv3' has two masks"),
        ({"": np.eye(2)}, "non-empty string"),
        ({5: np.eye(2)}, "non-empty string, found 5"),
    ],
)
def test_refuses(masks, text):
    with pytest.raises(MaskError, match=text):
        MaskSet(masks)


@pytest.mark.parametrize("sparsity", [-0.1, 1.5, float("nan")])
def test_refuses_a_sparsity_that_is_no_fraction(sparsity):
    with pytest.raises(OptionError, match="0 to 1"):
        MaskSet({"a": np.eye(2)}, sparsity=sparsity)


class Hostile:
    """Pickled, it would write a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickled_member_is_refused_and_not_run(tmp_path, sidecar):
    ran = tmp_path / "ran"
    array = np.empty((1, 1), object)
    array[0, 0] = Hostile(ran)
    write_members(sidecar, {**members(sidecar), "mask_0.npy": npy(array)})
    with pytest.raises(MaskError, match=r"mask_0.npy.*type object"):
        MaskSet.load(sidecar)
    sidecar.write_bytes(pickle.dumps(Hostile(ran)))
    with pytest.raises(MaskError, match="not a sidecar"):
        MaskSet.load(sidecar)
    assert not ran.exists()


def test_a_zip_bomb_is_refused_by_its_claim_and_by_its_content(sidecar):
    whole = members(sidecar)
    header = npy(np.zeros((1, 1), bool))[:-1].replace(b"(1, 1)", b"(9999, 99999)")
    write_members(sidecar, {**whole, "mask_0.npy": bytes(300 * 2**20)})
    with pytest.raises(MaskError, match="would unpack to"):
        MaskSet.load(sidecar)
    write_members(sidecar, {**whole, "mask_0.npy": header + bytes(9)})
    with pytest.raises(MaskError, match=r"shape \[9999, 99999\] needs 999890001 bytes"):
        MaskSet.load(sidecar)


@pytest.mark.parametrize("name", ["../mask_0.npy", "/etc/passwd", "mask_0.npy\\..", "extra.npy"])
def test_unexpected_member_names_are_refused(sidecar, name):
    write_members(sidecar, {**members(sidecar), name: npy(np.zeros((1, 1), bool))})
    with pytest.raises(MaskError, match="unexpected member"):
        MaskSet.load(sidecar)


def test_truncated_or_altered_files_are_refused(sidecar):
    """Every truncation, and a flip of every byte, is either refused or changes nothing."""
    content, masks = sidecar.read_bytes(), MaskSet.load(sidecar)
    for length in range(len(content)):
        sidecar.write_bytes(content[:length])
        with pytest.raises(MaskError):
            MaskSet.load(sidecar)
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 0xFF
        sidecar.write_bytes(altered)
        with contextlib.suppress(MaskError):
            assert MaskSet.load(sidecar) == masks


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "format version 2.*Update"),
        ({"format": "other"}, "no sidecar"),
        ({"layers": [{"layer": "a", "mask": "mask_9", "shape": [3, 3], "kept": 3}]}, "mask_9"),
        ({"layers": [{"layer": "a", "mask": "mask_0", "shape": [3, 3], "kept": 4}]}, "kept"),
        ({"layers": [{"layer": "a", "mask": "mask_0", "shape": [9, 1], "kept": 3}]}, "9, 1"),
        ({"layers": []}, "empty set"),
        ({"layers": 5}, "metadata"),
        ({"seed": "x"}, "seed"),
        ({"sparsity": 7}, "0 to 1"),
    ],
)
def test_metadata_that_disagrees_is_refused(sidecar, change, text):
    content = members(sidecar)
    with np.load(sidecar) as archive:
        metadata = json.loads(archive["metadata"].tobytes())
    encoded = np.frombuffer(json.dumps({**metadata, **change}).encode(), np.uint8)
    write_members(sidecar, {**content, "metadata.npy": npy(encoded)})
    with pytest.raises(MaskError, match=text):
        MaskSet.load(sidecar)


def test_a_plain_npz_is_told_apart(tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, mask_0=np.eye(2, dtype=bool))
    with pytest.raises(MaskError, match=r"MaskSet\(\{name: array\}\)"):
        MaskSet.load(path)


def test_an_unwritable_place_leaves_the_existing_file(tmp_path, sidecar, monkeypatch):
    before = sidecar.read_bytes()

    def full_disk(source, target):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        MaskSet({"other": np.ones((2, 2))}).save(sidecar)
    assert sidecar.read_bytes() == before
    assert list(tmp_path.iterdir()) == [sidecar]
    with pytest.raises(IsADirectoryError, match="found a folder"):
        MaskSet({"other": np.ones((2, 2))}).save(tmp_path)


def test_reads_the_c_headers_of_the_papers_training_code(tmp_path):
    path = tmp_path / "masks.h"
    path.write_text(
        "\n// made by training\nconst uint8_t layer1_conv1[2][3] = {\n\n"
        "    {1, 0, 1},\n\n    {0, 0, 1},\n\n  };\n"
        "const uint8_t layer2[1][1] = {\n    {1},\n  };\n"
    )
    masks = MaskSet.load(path)
    assert list(masks) == ["layer1_conv1", "layer2"]
    assert masks["layer1_conv1"].tolist() == [[True, False, True], [False, False, True]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int x;", "holds no array"),
        ("const uint8_t a[2][2] = {{1, 0}};", r"says \[2\]\[2\], but holds 1 rows"),
        ("const uint8_t a[1][2] = {{1, 2}};", "not binary: found '2'"),
        ("const uint8_t a[1][1] = {{1}}; const float b[1][1] = {{1}};", "not of the form"),
        ("const uint8_t a[1][1] = {{1}}; const uint8_t a[1][1] = {{1}};", "two masks"),
    ],
)
def test_malformed_c_headers_are_refused(tmp_path, text, message):
    path = tmp_path / "masks.h"
    path.write_text(text)
    with pytest.raises(MaskError, match=message):
        MaskSet.load(path)
