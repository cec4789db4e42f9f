"""Damage for `fuzz.py`: bytes, numbers, lengths, magic words and the words of texts are changed at random."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

#: First bytes, and signatures inside, of the formats that are read.
MAGIC = [
    b"II*\0",
    b"MM\0*",
    b"II+\0\x08\0\0\0",
    b"\x89HDF\r\n\x1a\n",
    b"OHDR",
    b"OCHK",
    b"TREE",
    b"SNOD",
    b"HEAP",
    b"GCOL",
    b"FRHP",
    b"BTHD",
    b"\x93NUMPY\x01\0",
    b"\x93NUMPY\x03\0",
    b"ZISRAWFILE",
    b"ZISRAWDIRECTORY",
    b"ZISRAWSUBBLOCK",
    b"ZISRAWMETADATA",
    b"\xda\xce\xbe\x0a",
    b"\x70\0\0\0",
    b"PAR1",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    b"<?xml",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
]
#: Words that texts get in place of their own.
WORDS = [
    "",
    "0",
    "-1",
    "1",
    "0.5",
    "-0.0",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "1e-320",
    "1e300",
    "65536",
    "2147483648",
    "4294967295",
    "-9223372036854775809",
    "99999999999999999999",
    "9" * 5000,
    "null",
    "None",
    "true",
    "[]",
    "{}",
    "[0]",
    '"',
    "'",
    "<",
    ">",
    "&a;",
    "&#0;",
    "\0",
    "\n",
    "\t",
    ";",
    ",",
    "%s",
    "{0}",
    "../../../etc/passwd",
    "/dev/zero",
    "http://127.0.0.1:1/",
    "İ",
    "µm",
    "é" * 300,
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 100_000,
    "[" * 20_000,
    '{"a":' * 20_000,
    "<a>" * 20_000,
]
#: Numbers that are the edge of something.
NUMBERS = [0, 1, 2, 3, 255, 256, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**62, 2**63 - 1, 2**64 - 1]
#: Bytes at both ends in which headers and tables of contents lie.
_EDGE = 600
#: Largest file that damage may lead to, in bytes.
_MAX_BYTES = 4_000_000
_WORD = re.compile(rb"[\w.+-]+")
_WIDE_TEXT = re.compile(rb"(?:[\x20-\x7e]\0){4,}")
_TEXT = re.compile(rb"[\x20-\x7e\r\n\t]{8,}")


def damaged(content: bytes, random: Random, *, text: bool = False) -> bytes:
    """Return a file with one to four faults.

    Parameters
    ----------
    content
        The whole file.
    random
        Where the faults come from.
    text
        Whether it is a text, whose words and lines are changed more often than its bytes.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        faults = _OF_TEXTS if random.random() < (0.8 if text else 0.2) else _OF_BYTES
        content = random.choice(faults)(content, random)[:_MAX_BYTES]
    return content


def _place(content: bytes, random: Random) -> int:
    """Return a place in a file; half of them lie near its ends."""
    size = len(content)
    where = random.random()
    if where < 0.35:
        return random.randrange(min(size, _EDGE) + 1)
    if where < 0.5:
        return size - random.randrange(min(size, _EDGE) + 1)
    return random.randrange(size + 1)


def _block(content: bytes, random: Random) -> tuple[int, int]:
    """Return start and end of a block; small ones are more frequent."""
    start = _place(content, random)
    return start, min(len(content), start + int(2 ** random.uniform(0, 12)))


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[min(_place(content, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _noise(content: bytes, random: Random) -> bytes:
    start, end = _block(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


def _fill(content: bytes, random: Random) -> bytes:
    start, end = _block(content, random)
    return content[:start] + random.choice((b"\0", b"\xff", b"\x7f")) * (end - start) + content[end:]


def _cut(content: bytes, random: Random) -> bytes:
    return content[: _place(content, random)]


def _remove(content: bytes, random: Random) -> bytes:
    start, end = _block(content, random)
    return content[:start] + content[end:]


def _insert(content: bytes, random: Random) -> bytes:
    start, end = _block(content, random)
    return content[:start] + random.randbytes(end - start) + content[start:]


def _repeat(content: bytes, random: Random) -> bytes:
    start, end = _block(content, random)
    return content[:start] + content[start:end] * random.choice((2, 3, 100)) + content[end:]


def _swap(content: bytes, random: Random) -> bytes:
    (a, b), (c, d) = sorted((_block(content, random), _block(content, random)))
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _copy(content: bytes, random: Random) -> bytes:
    """Put a block over another one, which makes pointers and sizes that are valid elsewhere."""
    (a, b), (c, _) = _block(content, random), _block(content, random)
    return content[:c] + content[a:b] + content[c + b - a :]


def _number(content: bytes, random: Random) -> bytes:
    """Change what may be a length, an offset or a count."""
    code = random.choice("BHIQhiqfd")
    order, size = random.choice("<>"), struct.calcsize("=" + code)
    start = min(_place(content, random), max(len(content) - size, 0))
    if random.random() < 0.7:
        start -= start % min(size, 4)
    if start + size > len(content):
        return content
    if code in "fd":
        value = random.choice((0.0, -1.0, 1e-300, 1e30, float("nan"), float("inf")))
        return content[:start] + struct.pack(order + code, value) + content[start + size :]
    (old,) = struct.unpack_from(order + code, content, start)
    value = random.choice(
        (*NUMBERS, old + 1, old - 1, old * 2, old // 2, -old, len(content), len(content) - start, start)
    )
    return (
        content[:start]
        + (value % 2 ** (8 * size)).to_bytes(size, "little" if order == "<" else "big")
        + (content[start + size :])
    )


def _magic(content: bytes, random: Random) -> bytes:
    start = random.choice((0, _place(content, random)))
    word = random.choice(MAGIC)
    return content[:start] + word + content[start + len(word) :]


def _word(content: bytes, random: Random) -> bytes:
    """Replace a word of a text, which may have two bytes a letter or lie within other bytes."""
    wide = random.random() < 0.5 and list(_WIDE_TEXT.finditer(content))
    texts = wide or list(_TEXT.finditer(content))
    if not texts:
        return _noise(content, random)
    text = random.choice(texts)
    inside = text[0][::2] if wide else text[0]
    words = list(_WORD.finditer(inside))
    if not words:
        return _noise(content, random)
    word = random.choice(words)
    new = random.choice((random.choice(WORDS).encode(), random.choice(words)[0]))
    if random.random() < 0.4:  # where a length before the text says how long it is
        new = new[: len(word[0])].ljust(len(word[0]))
    inside = inside[: word.start()] + new + inside[word.end() :]
    if wide:
        inside = inside.decode("utf-8", "replace").encode("utf-16-le")
    return content[: text.start()] + inside + content[text.end() :]


def _lines(content: bytes, random: Random) -> bytes:
    """Remove, repeat, exchange or split lines, or the tags and braces of a text without lines."""
    parts = re.split(rb"(?<=[\n>}\]])", content)
    a, b = random.randrange(len(parts)), random.randrange(len(parts))
    kind = random.randrange(5)
    if kind == 0:
        del parts[a]
    elif kind == 1:
        parts[a] *= random.choice((2, 10, 1000))
    elif kind == 2:
        parts[a], parts[b] = parts[b], parts[a]
    elif kind == 3:
        parts[a] = parts[a][: len(parts[a]) // 2]
    else:
        parts.insert(a, parts[b])
    return b"".join(parts)


def _separator(content: bytes, random: Random) -> bytes:
    old = random.choice((b",", b"\n", b":", b"=", b'"', b" ", b"/", b"<", b"."))
    return content.replace(old, random.choice((b"", b";", b"\t", b"\0", b"\r", b",", b" ")), random.choice((1, 3, -1)))


def _encoding(content: bytes, random: Random) -> bytes:
    text = content.decode("latin-1")
    return random.choice(
        (text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r"))
    )


_OF_BYTES = [_flip, _noise, _fill, _cut, _remove, _insert, _repeat, _swap, _copy, _number, _number, _number, _magic]
_OF_TEXTS = [_word, _word, _word, _word, _lines, _lines, _separator, _encoding]
