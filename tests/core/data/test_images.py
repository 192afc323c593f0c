from __future__ import annotations

import os
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from recam_cli.core.data import images
from recam_cli.core.data.images import (
    read_grey,
    read_image,
    read_kind,
    read_mask,
    read_size,
    write_image,
    write_mask,
)
from recam_cli.core.data.sizes import work_size
from recam_cli.core.errors import DataError, ResourceError
from tests.helpers.hostile_images import endless_scans, many_pages
from tests.helpers.tiny_data import draw_photo

SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
"""The EXIF standard: which sides of the scene the first stored row and the first stored column show."""


def oriented(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels a camera stores for the scene `upright` under an EXIF orientation."""
    row, column = SIDES[orientation]
    stored = upright if row in ("top", "bottom") else np.swapaxes(upright, 0, 1)
    stored = stored[::-1] if row in ("bottom", "right") else stored
    return stored[:, ::-1] if column in ("bottom", "right") else stored


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_come_back_upright_from_every_orientation_and_format(tmp_path, orientation, suffix):
    upright = np.zeros((24, 40, 3), dtype=np.uint8)
    upright[:12, :20], upright[:12, 20:], upright[12:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    lossless = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(np.ascontiguousarray(oriented(upright, orientation))).save(path, exif=exif, **lossless)
    read = read_image(path)
    assert read.shape == upright.shape
    assert read_size(path) == (24, 40)
    assert np.abs(read.astype(int) - upright)[2:-2:4, 2:-2:4].max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new(mode, (5, 4)).save(path)
    read = read_image(path)
    assert read.shape == (4, 5, 3)
    assert read.dtype == np.uint8
    assert read.flags.writeable


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_written_pixels_are_read_back(tmp_path, suffix):
    photo, mask = draw_photo((0, 1))
    write_image(tmp_path / f"a{suffix}", photo, quality=100)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - photo).max() <= (6 if suffix == ".jpg" else 0)
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_photograph_of_16_bits_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="more than 8 bits"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "1", "LA"])
def test_a_mask_without_indices_is_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"mask of mode .*Save the mask"):
        read_mask(tmp_path / "m.png")


def test_a_mask_that_is_no_png_or_is_turned_is_refused(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "m.jpg")
    with pytest.raises(DataError, match="not a readable mask PNG"):
        read_mask(tmp_path / "m.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (4, 4)).save(tmp_path / "m.png", exif=exif)
    with pytest.raises(DataError, match="EXIF rotation"):
        read_mask(tmp_path / "m.png")


def test_large_images_are_refused_before_they_are_decoded(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    for read in (read_image, read_size, read_kind):
        with pytest.raises(DataError, match=r"30×20 is more than 599 pixels.*--max-pixels"):
            read(tmp_path / "a.png", max_pixels=599)
    assert read_image(tmp_path / "a.png", max_pixels=600).shape == (20, 30, 3)


def test_a_raised_limit_also_lifts_that_of_pillow(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=600).shape == (20, 30, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_truncated_photograph_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(draw_photo((0, 1))[0]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.\w+: .+\. Replace the file"):
        read_image(path)


@pytest.mark.parametrize("name", ["gone.jpg", "folder.jpg", "text.jpg", "empty.jpg", "a.gif"])
def test_what_is_no_photograph_is_refused(tmp_path, name):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    for read in (read_image, read_size, read_mask):
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)


def test_a_broken_exif_block_does_not_spoil_the_photograph(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 6)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f broken")
    assert read_image(path).shape == (6, 8, 3)
    assert read_size(path) == (6, 8)


def test_the_kind_tells_format_and_frames(tmp_path):
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert read_kind(tmp_path / "a.tif") == images.PhotoKind("TIFF", 2)
    frames[0].save(tmp_path / "b.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read_kind(tmp_path / "b.jpg") == images.PhotoKind("JPEG", 1)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP", "BMP"]))
def test_damaged_bytes_cause_pixels_or_a_data_error_and_nothing_else(tmp_path_factory, data, kind):
    path = tmp_path_factory.mktemp("fuzz") / "a.jpg"
    Image.fromarray(draw_photo((0,), size=(16, 16))[0]).save(path, format=kind)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for read in (read_image, read_size, read_kind, read_mask):
        try:
            read(path, max_pixels=10_000)
        except DataError as error:
            assert "a.jpg" in str(error)


@pytest.mark.parametrize("reader", [read_image, read_size, read_mask])
def test_a_folder_in_place_of_a_file_is_called_one(tmp_path, reader):
    with pytest.raises(DataError, match="a folder, no"):
        reader(tmp_path)


@pytest.mark.parametrize("read", [read_image, read_size, read_kind, read_mask, read_grey])
def test_pipes_devices_and_links_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    for name, reason in (
        ("pipe", "plain file"),
        ("zero", "plain file"),
        ("loop", "symbolic links"),
        ("gone", "no such"),
    ):
        with pytest.raises(DataError, match=rf"{name}\.png: .*{reason}"):
            read(tmp_path / f"{name}.png")


def test_a_progressive_photograph_of_endless_scans_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(endless_scans(20))
    assert read_image(path).shape == (64, 64, 3)
    path.write_bytes(endless_scans(120))
    with pytest.raises(DataError, match=r"a\.jpg: 1\d\d scans of one image"):
        read_image(path)


def test_pages_are_counted_in_a_time_that_does_not_grow_with_their_square(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(many_pages(7))
    assert read_kind(path) == images.PhotoKind("TIFF", 7)
    path.write_bytes(many_pages(20_000))
    begun = time.process_time()
    assert read_kind(path) == images.PhotoKind("TIFF", 100)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("reader", [read_image, read_mask, read_grey])
@pytest.mark.parametrize("moment", ["open", "load"])
def test_a_lack_of_memory_is_no_damage_of_the_file(tmp_path, monkeypatch, reader, moment):
    path = tmp_path / "large.png"
    Image.new("L", (9, 9)).save(path)

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image if moment == "open" else PngImageFile, moment, fail)
    with pytest.raises(ResourceError, match=r"large\.png: not enough memory\. Use fewer --workers, or scale"):
        reader(path)


def _scene(size):
    """Four fields of colours that differ, softly noisy, so that turns and mirrors show."""
    height, width = size
    scene = np.zeros((height, width, 3), dtype=np.uint8)
    middle = height // 2, width // 2
    scene[: middle[0], : middle[1]], scene[: middle[0], middle[1] :] = (220, 20, 20), (20, 220, 20)
    scene[middle[0] :, : middle[1]], scene[middle[0] :, middle[1] :] = (20, 20, 220), (200, 200, 40)
    noise = np.random.default_rng(0).integers(0, 30, (height, width, 1), dtype=np.uint8)
    return scene + noise


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photograph_is_read_small_and_upright(tmp_path, orientation, suffix):
    upright = _scene((301, 517))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.ascontiguousarray(oriented(upright, orientation))).save(path, exif=exif)

    read = read_image(path, longest=100)

    assert read.shape[:2] == work_size(*read_size(path), 100) == (58, 100)
    by_area = cv2.resize(upright, (100, 58), interpolation=cv2.INTER_AREA)
    assert np.abs(read.astype(int) - by_area).mean() < 3


@pytest.mark.parametrize("longest", [0, 48, 49, 1000])
def test_a_photograph_that_is_no_longer_is_untouched(tmp_path, longest):
    write_image(tmp_path / "a.jpg", draw_photo((0,), size=(40, 48))[0])
    assert np.array_equal(read_image(tmp_path / "a.jpg", longest=longest), read_image(tmp_path / "a.jpg"))


def test_a_large_jpeg_is_never_held_at_its_full_size(tmp_path, monkeypatch):
    write_image(tmp_path / "a.jpg", _scene((600, 800)))
    loaded = []
    load = JpegImageFile.load
    monkeypatch.setattr(JpegImageFile, "load", lambda image: (loaded.append(image.size), load(image))[1])
    assert read_image(tmp_path / "a.jpg", longest=150).shape == (113, 150, 3)
    assert set(loaded) == {(200, 150)}
