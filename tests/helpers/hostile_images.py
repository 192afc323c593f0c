"""Photographs that are broken, hostile or merely unusual: what each is, and what must become of it."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.helpers.tiny_data import draw_photo

HUGE = 60_000
"""Pixels of a side that a header claims."""


@dataclass(frozen=True)
class HostileImage:
    """One image file.

    Attributes:
        file: its name.
        data: its bytes.
        refused: what the error must say, or None where the image is to be read.
        warned: what the check must warn of, or None.
        colour: of a readable image of one colour, its RGB; None where the pixels are not of interest.
    """

    file: str
    data: bytes
    refused: str | None = None
    warned: str | None = None
    colour: tuple[int, int, int] | None = None


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes) -> bytes:
    """Return a PNG that claims a size, has more chunks, and next to no pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * (height * (3 * width + 1) if width < 100 else 9)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + png_chunk(b"IEND", b"")


def bomb(kind: bytes) -> bytes:
    """Return a PNG whose text or profile unpacks to 64 MB."""
    return png(8, 8, png_chunk(kind, b"a\0\0" + zlib.compress(b"\0" * (64 << 20), 9)))


def endless_scans(scans: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a progressive JPEG of so many more scans, ten bytes each, every one a pass over all pixels."""
    data = encoded(Image.new("RGB", size), "JPEG", progressive=True)
    first = data.rfind(b"\xff\xda")
    scan = data[first : first + 2 + int.from_bytes(data[first + 2 : first + 4], "big")]
    return data[: data.rfind(b"\xff\xd9")] + scan * scans + b"\xff\xd9"


def many_pages(pages: int) -> bytes:
    """Return a TIFF of so many pages, each some bytes."""
    out = bytearray(encoded(Image.new("L", (4, 4)), "TIFF"))
    place = int.from_bytes(out[4:8], "little")
    size = 2 + 12 * int.from_bytes(out[place : place + 2], "little")
    page = bytes(out[place : place + size])
    for _ in range(pages - 1):
        out += b"\0" * (len(out) % 2)
        out[place + size : place + size + 4] = struct.pack("<I", len(out))
        place = len(out)
        out += page + b"\0" * 4
    return bytes(out)


def _claiming(kind: str, side: int = HUGE) -> bytes:
    """Return a file of 8×8 pixels whose header claims `side`×`side`."""
    if kind == "PNG":
        return png(side, side)
    if kind == "WEBP":
        frame = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
        size = struct.pack("<I", side - 1)[:3] * 2
        parts = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + b"ANIM\x06\0\0\0" + b"\0" * 6
        body = b"\0" * 6 + b"\x07\0\0" * 2 + b"\x01\0\0\0" + frame
        parts += b"ANMF" + struct.pack("<I", len(body)) + body
        return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts
    data = bytearray(encoded(Image.new("RGB", (8, 8)), kind))
    if kind == "JPEG":
        place = data.find(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    else:
        place = int.from_bytes(data[4:8], "little") + 2
        for _ in range(int.from_bytes(data[place - 2 : place], "little")):
            if data[place : place + 2] in (b"\0\x01", b"\x01\x01"):  # width, height
                data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, side)
            place += 12
    return bytes(data)


_KINDS = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "WEBP": "webp", "TIFF": "tif"}


def hostile_images() -> list[HostileImage]:
    """Return them all, each with a name of its own."""
    photo = Image.fromarray(draw_photo((0, 1))[0])
    flat = Image.new("RGB", (20, 16), (200, 40, 60))
    frames = {"save_all": True, "append_images": [Image.new("RGB", (20, 16), "blue")]}
    found = []
    for kind, suffix in _KINDS.items():
        whole = encoded(photo, kind)
        found += [
            HostileImage(f"truncated-{suffix}.{suffix}", whole[: len(whole) * 2 // 3], "damaged|cannot be read"),
            HostileImage(f"beheaded-{suffix}.{suffix}", whole[8:], "not a readable"),
            HostileImage(f"huge-{suffix}.{suffix}", _claiming(kind), "pixels|more than"),
        ]
    found += [
        HostileImage("empty.jpg", b"", "not a readable"),
        HostileImage("text.png", b"not an image", "not a readable"),
        HostileImage("zeros.bmp", b"\0" * 4096, "not a readable"),
        HostileImage("gif.jpg", encoded(flat, "GIF"), "not a readable"),
        HostileImage("eps.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a readable"),
        HostileImage("text-bomb.png", bomb(b"zTXt"), "too large"),
        HostileImage("profile-bomb.png", bomb(b"iCCP"), "too large"),
        HostileImage("scans.jpg", endless_scans(300), "scans"),
        HostileImage("deep.png", encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "more than 8 bits"),
        HostileImage("float.tif", encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "more than 8 bits"),
        HostileImage("cmyk.jpg", encoded(Image.new("CMYK", (20, 16), (0, 255, 255, 0)), "JPEG"), colour=(254, 0, 0)),
        HostileImage("cmyk-not-inverted.jpg", _without_adobe(), colour=(254, 0, 0)),
        HostileImage("palette.png", encoded(flat.convert("P"), "PNG")),
        HostileImage("palette-seen-through.png", encoded(flat.convert("P"), "PNG", transparency=0)),
        HostileImage("palette-alphas.png", encoded(flat.convert("P"), "PNG", transparency=bytes(range(256)))),
        HostileImage("alpha.png", encoded(flat.convert("RGBA"), "PNG"), colour=(200, 40, 60)),
        HostileImage("bits.png", encoded(Image.new("1", (9, 9), 1), "PNG"), colour=(255, 255, 255)),
        HostileImage("animated.png", encoded(flat, "PNG", **frames), warned="2 frames", colour=(200, 40, 60)),
        HostileImage("animated-webp.webp", encoded(flat, "WEBP", lossless=True, **frames), warned="2 frames"),
        HostileImage("pages.tif", encoded(flat, "TIFF", **frames), warned="2 frames", colour=(200, 40, 60)),
        HostileImage("many-pages.tif", many_pages(3000), warned="100 frames"),
        HostileImage("phone.jpg", encoded(flat, "MPO", **frames)),
        HostileImage("misnamed.jpg", encoded(flat, "PNG"), warned="PNG file named .jpg", colour=(200, 40, 60)),
        HostileImage("exif-broken.jpg", encoded(flat, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f broken")),
        HostileImage("exif-endless.jpg", encoded(flat, "JPEG", exif=_endless_exif())),
    ]
    return found


def _without_adobe() -> bytes:
    """Return a CMYK JPEG without Adobe's marker, which Pillow reads as inverted all the same."""
    data = encoded(Image.new("CMYK", (20, 16), (0, 255, 255, 0)), "JPEG")
    place = data.find(b"\xff\xee")
    if place < 0:
        return data
    return data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4], "big") :]


def _endless_exif() -> bytes:
    """Return an EXIF block whose directory leads to itself."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8)


def write_images(folder: Path) -> list[HostileImage]:
    """Write them all to a folder; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = hostile_images()
    for image in found:
        (folder / image.file).write_bytes(image.data)
    return found
