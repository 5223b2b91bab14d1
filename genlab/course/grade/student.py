"""The process of a student, as the grader has it."""

import tempfile
import time
from pathlib import Path

from genlab.course.grade import sandbox
from genlab.course.grade.channel import Channel, Refused, Stopped
from genlab.course.grade.confine import Limits
from genlab.course.grade.link import Link

_START = 120  # seconds in which a sandbox has to stand


class Student:
    """A worker in a sandbox; a new one is started when the old one is gone. A context manager.

    Attributes:
        launcher: how it is started, one of ``sandbox.launchers()``.
        promises: what holds of it, as it says itself before it reads any code.
        informed: whether it has met hidden tests.
    """

    def __init__(self, limits: Limits, launcher: str | None = None):
        self.limits = limits
        self.launcher = launcher or sandbox.launchers()[0]
        self.promises: list[str] = []
        self.informed = False
        self._link: Link | None = None
        self._second: Student | None = None

    def __enter__(self) -> "Student":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def link(self) -> Link:
        """A link that can be asked, for the time of one check."""
        if self._link is None or self._link.stopped:
            self._close()
            self._start()
        self._link.channel.deadline = time.monotonic() + self.limits.seconds
        self._link.forget()
        return self._link

    def unaware(self) -> "Student":
        """A second one of the same student, which has met no hidden test."""
        self._second = self._second or Student(self.limits, self.launcher)
        if self._second.informed:
            self._second._close()
        return self._second

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="genlab-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        folder.chmod(0o777)  # the worker may be another user
        self._process = sandbox.start(self.limits, folder, self.launcher)
        source, sink = self._process.stdout.fileno(), self._process.stdin.fileno()
        self._link = Link(Channel(source, sink), "grader")
        self._link.channel.deadline = time.monotonic() + _START
        try:
            self.promises = self._link.channel.receive()[0]["ready"]
        except (Stopped, Refused):
            self._process.kill()
            said = self._process.stderr.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"the sandbox ({self.launcher}) did not start: {said}") from None

    def _close(self) -> None:
        self.informed = False
        if self._second is not None:
            self._second._close()
        if self._link is not None:
            sandbox.stop(self._process)
            self._folder.cleanup()
            self._link = None
