"""Frames over two pipes: a JSON text and the bytes of its tensors, capped, and in time.

Nothing in a frame is ever executed.
"""

import json
import math
import os
import select
import struct
import time

_TEXT, _RAW = 4 << 20, 64 << 20  # bytes of a frame that come from a student
LATE, ENDED = "it took too long", "it ended its process"
_SIZES = struct.Struct("<QQ")


class Stopped(Exception):
    """The other side cannot be heard any more; the message says why."""


class Refused(Exception):
    """What was to cross is no data."""


class Raw(bytes):
    """The bytes of a frame's tensors, each of which is unpacked once."""

    left: int

    def __init__(self, data: bytes):
        self.left = len(data)


class Channel:
    """Frames over two pipes; ``deadline`` (of ``time.monotonic``) counts for every byte."""

    def __init__(self, source: int, sink: int, *, text: int = _TEXT, raw: int = _RAW):
        self.source, self.sink, self.most = source, sink, (text, raw)
        self.deadline = math.inf
        os.set_blocking(source, False)
        os.set_blocking(sink, False)

    def send(self, message: object, raw: bytes | bytearray = b"") -> None:
        """Send one frame."""
        text = json.dumps(message, separators=(",", ":")).encode()
        data = memoryview(b"".join((_SIZES.pack(len(text), len(raw)), text, raw)))
        while data:
            try:
                data = data[os.write(self.sink, data) :]
            except BlockingIOError:
                self._wait([], [self.sink])
            except BrokenPipeError:
                raise Stopped(ENDED) from None

    def receive(self) -> tuple[object, Raw]:
        """The next frame: its JSON and its bytes.

        Raises:
            Stopped: the other side is gone or late.
            Refused: the frame is too large or not JSON.
        """
        self._left()
        sizes = _SIZES.unpack(self._read(_SIZES.size))
        if any(size > most for size, most in zip(sizes, self.most, strict=True)):
            raise Refused(f"it sent {sum(sizes):,} bytes at once; {sum(self.most):,} may cross")
        text, raw = (self._read(size) for size in sizes)
        try:
            return json.loads(text), Raw(raw)
        except (ValueError, RecursionError):
            raise Refused("it sent what is not JSON") from None

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = os.read(self.source, min(size - len(data), 1 << 20))
            except BlockingIOError:
                self._wait([self.source], [])
                continue
            if not part:
                raise Stopped(ENDED)
            data += part
        return bytes(data)

    def _wait(self, source: list[int], sink: list[int]) -> None:
        if not any(select.select(source, sink, [], self._left())):
            raise Stopped(LATE)

    def _left(self) -> float | None:
        """Seconds until the deadline, which counts also for who never stops talking."""
        if self.deadline == math.inf:
            return None
        if (left := self.deadline - time.monotonic()) < 0:
            raise Stopped(LATE)
        return left
