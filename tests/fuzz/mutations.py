"""How valid files are spoilt: each function takes the bytes and a generator, and returns other bytes."""

from __future__ import annotations

import json
import struct
import zlib
from copy import deepcopy
from random import Random

TOKENS = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"'", b",", b";", b"../../", b"/etc/passwd", b"%s%n"),
    *(b"\xed\xa0\x80", b"\xc0\x80", b"\x1c", b"\xe2\x80\xa8", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"9" * 5000),
    *(b"[" * 3000, b'{"a":' * 2000, b"<!DOCTYPE x [", b"<!ENTITY a 'b'>", b"&a;", b"<a>" * 5000, b"]]>", b"\x80\x04."),
    *(
        b"PK\x05\x06",
        b"PK\x03\x04",
        b"\x93NUMPY",
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"acTL",
        b"iCCP",
        b"\xff\xd8",
        b"\xff\xda",
    ),
    *(b"a" * 300_000, b"background", b"a.a" * 500, b"[[a]]", b"[a.b]\n", b'"""', b"\\ud800"),
)
NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 62, -1)


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    first = rng.randrange(len(data) + 1)
    return first, min(len(data), first + int(2 ** rng.uniform(0, 9)))


def flip_bits(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 5))):
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
    return bytes(changed)


def truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))]


def cut(data: bytes, rng: Random) -> bytes:
    first, last = _span(data, rng)
    return data[:first] + data[last:]


def duplicate(data: bytes, rng: Random) -> bytes:
    first, last = _span(data, rng)
    return data[:last] + data[first:last] * rng.choice((1, 1, 3, 200)) + data[last:]


def splice(data: bytes, rng: Random) -> bytes:
    first, last = _span(data, rng)
    target = rng.randrange(len(data))
    return data[:target] + data[first:last] + data[target + last - first :]


def insert_token(data: bytes, rng: Random) -> bytes:
    target = rng.randrange(len(data) + 1)
    return data[:target] + rng.choice(TOKENS) + data[target + rng.choice((0, 0, 1, 8)) :]


def set_number(data: bytes, rng: Random) -> bytes:
    """Write a length as formats store them: 2, 4 or 8 bytes, either end first."""
    width = rng.choice((2, 4, 4, 8))
    value = (rng.choice(NUMBERS) & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("little", "big")))
    target = rng.randrange(max(1, min(len(data), rng.choice((64, 512, 1 << 30))) - width))
    return data[:target] + value + data[target + width :]


def move_lines(data: bytes, rng: Random) -> bytes:
    """Drop, repeat or exchange whole lines."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return duplicate(data, rng)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = rng.choice(
        ((lines[b], lines[a]), (lines[a], lines[a]), (b"", lines[b]), (lines[b] * 300, b""))
    )
    return b"".join(lines)


BYTES = (flip_bits, set_bytes, truncate, cut, duplicate, splice, insert_token, set_number)
TEXT = (*BYTES, move_lines, insert_token)


class _Raw(str):
    """JSON text put into the file as it is."""


_VALUES = (
    *(None, True, False, 0, -1, 1, 0.5, "", "a", "0.5", "nan", "\ud800", "a" * 5000, "../../x", "a\0b", "a\nb"),
    *(-(2**31), 2**31, 2**63, 2**64, 10**18, 10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
    *([], {}, [None], [[]], [1] * 5000, [0, 0], ["a", "a"], {"a": 1}, {"a": {"b": []}}, {"threshold": 1}, {"": None}),
    *(_Raw("[" * n + "]" * n) for n in (60, 200, 900, 20_000)),
    *(_Raw('{"a":' * n + "1" + "}" * n) for n in (60, 200, 900, 20_000)),
    *(_Raw("9" * 5000), _Raw("1e99999"), _Raw('{"a":1,"a":2}')),
)


def _places(value, place=()):
    """Yield where values are, the inner ones too."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*place, key))


def change_value(value, rng: Random):
    """Return a JSON-like value with one of its parts replaced, removed, renamed or added."""
    place = rng.choice(list(_places(value)))
    new = deepcopy(rng.choice(_VALUES))  # a later change must not reach the values to come
    if not place:
        return new if rng.random() < 0.3 else value
    parent = value
    for key in place[:-1]:
        parent = parent[key]
    key, how = place[-1], rng.random()
    if how < 0.7:
        parent[key] = new
    elif how < 0.8:
        del parent[key]
    elif isinstance(parent, dict):
        parent[rng.choice(("", "extra", "\ud800", "a" * 3000, str(key) + " "))] = parent[key] if how < 0.9 else new
    else:
        parent.insert(key, new)
    return value


def json_text(value) -> str:
    """Return JSON in which `_Raw` parts stand as they are."""
    raw: list[str] = []

    def marked(part):
        if isinstance(part, _Raw):
            raw.append(str(part))
            return f"@raw{len(raw) - 1}@"
        if isinstance(part, dict):
            return {key: marked(p) for key, p in part.items()}
        return [marked(p) for p in part] if isinstance(part, list) else part

    text = json.dumps(marked(value))
    for number, part in enumerate(raw):
        text = text.replace(f'"@raw{number}@"', part)
    return text


def json_part(data: bytes, rng: Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return flip_bits(data, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = change_value(value, rng)
        if not isinstance(value, dict | list):
            break
    return json_text(value).encode("utf-8", "surrogatepass")


def json_free(data: bytes, rng: Random) -> bytes:
    """Change a manifest where its schema leaves the kind of a value open."""
    value = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        stage = value["stages"][rng.choice(list(value["stages"]))]
        part = rng.choice(("settings", "metrics", "metrics", "metrics", "notes", "inputs", "outputs", "seconds"))
        if part == "seconds" or not stage[part]:
            stage[part] = deepcopy(rng.choice(_VALUES))
        else:
            changed = change_value(stage[part], rng)
            stage[part] = changed if isinstance(changed, dict) else {}
    return json_text(value).encode("utf-8", "surrogatepass")


def json_line(data: bytes, rng: Random) -> bytes:
    """Change a part of one line of JSON lines."""
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    lines[number] = json_part(lines[number], rng) if lines[number] else b"{}"
    return b"\n".join(lines)


def safetensors_header(data: bytes, rng: Random) -> bytes:
    """Change the JSON header, the notes in it or what they hold, and let its length say so."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    notes = header.get("__metadata__", {})
    inner = next((k for k in ("recam", "facts") if k in notes), None)
    if inner is not None and rng.random() < 0.5:
        notes[inner] = json_part(notes[inner].encode(), rng).decode("utf-8", "surrogatepass")
        text = json.dumps(header).encode()
    else:
        text = json_part(json.dumps(header).encode(), rng)
    return len(text).to_bytes(8, "little") + text + body


def png_chunk(data: bytes, rng: Random) -> bytes:
    """Change, repeat or drop one chunk, and mend its checksum, so that readers look further."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + size]])
        place += 12 + size
    if not chunks:
        return flip_bits(data, rng)
    chosen = rng.randrange(len(chunks))
    kind, body = chunks[chosen]
    how = rng.random()
    if how < 0.7 and body:
        chunks[chosen][1] = rng.choice((flip_bits, set_bytes, truncate, set_number))(body, rng)
    elif how < 0.8:
        chunks.insert(chosen, [rng.choice((b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"tRNS", b"PLTE")), body])
    elif how < 0.9:
        chunks.insert(rng.randrange(len(chunks)), [kind, body])
    else:
        del chunks[chosen]
    return data[:8] + b"".join(_png(kind, body) for kind, body in chunks)


def _png(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tar_header(data: bytes, rng: Random) -> bytes:
    """Change one field of one member's header, and mend its checksum."""
    headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return flip_bits(data, rng)
    at = rng.choice(headers)
    field, values = rng.choice(
        (
            ((0, 100), (b"../../out", b"/abs", b"a\\b", b"\xff" * 100, b"VOCdevkit/VOC2012/" + b"d/" * 40, b"")),
            (
                (124, 12),
                (b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"00000000000\0", b"-0000000512\0", b"9"),
            ),
            ((156, 1), (b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"x", b"g", b"S", b"D", b"\xff")),
            ((157, 100), (b"/etc/passwd", b"../../x", b"")),
            ((136, 12), (b"\xff" * 12, b"x")),
            ((108, 8), (b"\xff" * 8, b"x")),
        )
    )
    value = rng.choice(values)[: field[1]].ljust(field[1], b"\0")
    header = bytearray(data[at : at + 512])
    header[field[0] : field[0] + field[1]] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]
