"""What a chapter asks and what it accepts: all that the grader has to know of it.

An exercise is its check cells, each in two parts: what the student saw, and what only the grader
knows.
"""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Check:
    """A check cell: its points, what students see of it, and what they do not."""

    points: float
    seen: str
    hidden: str


@dataclass(frozen=True)
class Task:
    """An exercise: the names that a student has to define, and its checks."""

    number: str
    title: str
    points: float
    minutes: int
    names: tuple[str, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Key:
    """A chapter: its exercises, and the cells that students are given, without hidden tests."""

    chapter: str
    tasks: tuple[Task, ...]
    given: tuple[str, ...]

    @property
    def points(self) -> float:
        return sum(task.points for task in self.tasks)

    def fingerprint(self) -> str:
        """Changes if, and only if, the chapter does."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


def read(about: dict) -> Key:
    """The key that ``dataclasses.asdict`` took apart."""
    tasks = (
        Task(**task | {"names": tuple(task["names"]), "checks": tuple(Check(**c) for c in checks)})
        for task in about["tasks"]
        for checks in [task["checks"]]
    )
    return Key(about["chapter"], tuple(tasks), tuple(about["given"]))
