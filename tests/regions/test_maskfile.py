"""Mask files: every format that holds a mask, folders of masks, and errors."""

import numpy as np
import pytest
from PIL import Image

from burnish.errors import OutputError, PhotoError, UsageError
from burnish.regions.maskfile import MaskFile, save_mask

COLOURS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture
def mask_folder(tmp_path):
    """A folder with the same mask in several formats, and the mask."""
    mask = (np.random.default_rng(3).random((30, 40)) * 255).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "rgb.tif")
    Image.fromarray(np.dstack([COLOURS, mask])).save(tmp_path / "alpha.png")
    Image.fromarray(mask.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    return tmp_path, mask / np.float32(255)


@pytest.mark.parametrize("name", ["grey.png", "rgb.tif", "alpha.png", "deep.png"])
def test_read_returns_grey_values_or_alpha(mask_folder, name):
    folder, mask = mask_folder
    np.testing.assert_allclose(MaskFile(folder / name).read((40, 30)), mask, atol=1e-6)


def test_save_mask_is_read_back_equal(mask_folder):
    folder, mask = mask_folder
    path = folder / "new" / "saved.png"
    save_mask(mask, path, overwrite=False)
    np.testing.assert_array_equal(MaskFile(path).read((40, 30)), mask)
    with Image.open(path) as image:
        assert image.mode == "L"
    with pytest.raises(OutputError) as raised:
        save_mask(mask, path, overwrite=False)
    assert raised.value.where == str(path)


def test_read_folder_returns_the_mask_with_the_name_of_the_photo(mask_folder):
    folder, mask = mask_folder
    read = MaskFile(folder).read((40, 30), folder / "elsewhere" / "grey.jpg")
    np.testing.assert_array_equal(read, mask)


def test_read_folder_without_exactly_one_mask_raises_photo_error(mask_folder):
    folder, _ = mask_folder
    with pytest.raises(PhotoError, match=r"none.*other\.png"):
        MaskFile(folder).read((40, 30), folder / "other.jpg")
    (folder / "grey.jpg").write_bytes(b"")
    with pytest.raises(PhotoError, match=r"grey\.jpg and grey\.png"):
        MaskFile(folder).read((40, 30), folder / "grey.tif")


def test_read_other_size_raises_photo_error(mask_folder):
    folder, _ = mask_folder
    with pytest.raises(PhotoError, match="41 x 30"):
        MaskFile(folder / "grey.png").read((41, 30))


def test_read_colours_raises_photo_error(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "photo.png")
    with pytest.raises(PhotoError, match="colour"):
        MaskFile(tmp_path / "photo.png").read((40, 30))


def test_mask_file_missing_file_raises_usage_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        MaskFile(tmp_path / "none.png")
