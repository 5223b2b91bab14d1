"""What is inside a file: entries of an archive, cells of a notebook, pages of a PDF, and so on.

Each part comes with the words that lead to it, as "cell 3, output 1 (image/png)", and may have
parts itself. A file is known by what it holds; only notebooks and compiled Python by their names.
"""

import base64
import bz2
import io
import json
import lzma
import re
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator

from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject

from genlab.course.hidden import decoded

LIMIT = 2**30
_STREAMS = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
}
_FOREIGN = (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd", b"\x1f\x9d")
_INVENTORY = b"# Sphinx inventory version 2"
_PNG = b"\x89PNG\r\n\x1a\n"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}(?:\s+[A-Za-z0-9+/]{24,})*(?:\s+[A-Za-z0-9+/]+)?")


class Room:
    """How much one file may still unpack to: a small archive can hold more than the machine."""

    def __init__(self):
        self.left = LIMIT

    def take(self, size: int) -> None:
        """Count ``size`` bytes.

        Raises:
            ValueError: there is no room for them.
        """
        self.left -= size
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {LIMIT >> 20} MiB")


def parts(name: str, data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    """The parts that a file has directly, each with its place in it.

    Raises:
        Exception: whatever the reader of a format raises at a file that is broken, encrypted, too
            large or unknown.
    """
    if name.endswith(".pyc"):
        raise ValueError("it is compiled Python, which has no place here")
    if data.startswith(_FOREIGN):
        raise ValueError("it is an archive of another kind than zip, gzip, bz2, xz and tar")
    packed = next((make for magic, make in _STREAMS.items() if data.startswith(magic)), None)
    if packed:
        yield from _stream(packed, data, room)
    elif data.startswith(_INVENTORY):
        yield from _stream(zlib.decompressobj, data.split(b"\n", 4)[-1], room)
    elif data.startswith(_PNG):
        yield from _png(data, room)
    elif data.startswith(b"%PDF-"):
        yield from _pdf(data, room)
    elif data[257:262] == b"ustar":
        yield from _tar(data, room)
    elif data.startswith(b"PK\x03\x04") or zipfile.is_zipfile(io.BytesIO(data)):
        yield from _zip(data, room)
    elif name.endswith(".ipynb"):
        yield from _notebook(data)
    else:
        for run in _BASE64.findall(decoded(data)):
            text = b"".join(run.split())
            yield "base64", base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"==")


def _zip(data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if first := min((entry.header_offset for entry in entries), default=0):
            yield "before its entries", data[:first]
        for entry in entries:
            room.take(entry.file_size)  # no more is ever read
            yield entry.filename, archive.read(entry)
        end = data.rfind(b"PK\x05\x06") + 22 + len(archive.comment)
    if data[end:]:
        yield "after its end", data[end:]


def _tar(data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for entry in archive:
            if entry.isfile():
                room.take(entry.size)
                yield entry.name, archive.extractfile(entry).read()
        if tail := data[archive.offset :].strip(b"\0"):
            yield "after its end", tail


def _stream(make: Callable, data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    stream = make()
    text = stream.decompress(data, room.left + 1)
    room.take(len(text))
    if not stream.eof:
        raise ValueError("what it holds is cut off")
    yield "unpacked", text
    if stream.unused_data:
        yield "after its end", stream.unused_data


def _png(data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        size, kind = struct.unpack(">I4s", data[at : at + 8].ljust(8))
        if at + 12 + size > len(data):
            raise ValueError("it is cut off")
        body = data[at + 8 : at + 8 + size]
        at += 12 + size
        place, text = f"{kind.decode('latin1')} chunk", body.partition(b"\0")[2]
        if kind != b"IDAT":
            yield place, body
        if kind in (b"zTXt", b"iCCP"):
            yield from ((place, part) for _, part in _stream(zlib.decompressobj, text[1:], room))
        if kind == b"iTXt" and text[:1] == b"\1":
            text = text[2:].split(b"\0", 2)[-1]
            yield from ((place, part) for _, part in _stream(zlib.decompressobj, text, room))
    if data[at:]:
        yield "after its end", data[at:]


def _pdf(data: bytes, room: Room) -> Iterator[tuple[str, bytes]]:
    """The text of the pages, then every object: information, outline, notes, attachments, …"""
    reader = PdfReader(io.BytesIO(data))
    for number, page in enumerate(reader.pages, 1):
        yield f"page {number}", unicodedata.normalize("NFKC", page.extract_text()).encode()
    tables = {**reader.xref, 0: {**reader.xref.get(0, {}), **reader.xref_objStm}}
    for generation, numbers in sorted(tables.items()):
        for number in sorted(numbers):
            thing = reader.get_object(IndirectObject(number, generation, reader))
            place = f"object {number}"
            yield place, "\n".join(_strings(thing)).encode("utf8", "ignore")
            if isinstance(thing, StreamObject) and thing.get("/Subtype") != "/Image":
                room.take(len(text := thing.get_data()))
                yield place, text
    yield "after its end", data[data.rfind(b"%%EOF") + 5 :]


def _strings(thing: object) -> Iterator[str]:
    if isinstance(thing, DictionaryObject):
        thing = [*thing.values()]
    if isinstance(thing, ArrayObject | list):
        for each in thing:
            yield from _strings(each)
    elif isinstance(thing, str):
        yield str(thing)
    elif isinstance(thing, bytes):
        yield thing.decode("latin1")


def _notebook(data: bytes) -> Iterator[tuple[str, bytes]]:
    for path, text in _leaves(json.loads(data)):
        numbered, named, steps = [], [], iter(path)
        for step in steps:
            if step in ("cells", "outputs"):
                numbered.append(f"{step[:-1]} {next(steps, '')}")
            elif step != "data":
                named.append(str(step))
        place = f"{', '.join(numbered) or 'notebook'} ({', '.join(named)})"
        yield place, text.encode("utf8", "ignore")


def _leaves(value: object, path: tuple = ()) -> Iterator[tuple[tuple, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and not all(isinstance(each, str) for each in value):
        for i, each in enumerate(value, 1):
            yield from _leaves(each, (*path, i))
    elif isinstance(value, list):
        yield path, "\n".join(value)
    elif isinstance(value, str):
        yield path, value
