"""The check that the student saw, run in the grader's process on functions that run elsewhere.

For each exercise the student's definitions are loaded in the worker, and stand-ins for them in the
check's namespace. The visible part runs, then the hidden tests. Points are given for "right" and
silence, both in this process; whatever else happens, there are none, and a reason.
"""

import base64
import contextlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from genlab.course.grade.confine import Limits, die_with_parent, hold_memory
from genlab.course.grade.extract import Piece, code_cells, definition, needed, pieces
from genlab.course.grade.key import Check, Key, Task, read
from genlab.course.grade.link import Link
from genlab.course.grade.student import Student
from genlab.course.names import names

_HIDDEN = (
    "the check that you saw says “right”; with other numbers your answer is not right, or stops"
)


@dataclass
class Mark:
    """What came of one exercise. ``answer`` is the student's own text."""

    number: str
    title: str
    points: float
    of: float
    reason: str
    seconds: float
    answer: str


@dataclass(frozen=True)
class Sheet:
    """The definitions that are at hand: the student's and the course's.

    Attributes:
        written: of the student.
        broken: cells of the student that are no Python.
        given: of the course, in the cells that students have.
        asked: the names that exercises ask for, in order.
    """

    written: Sequence[Piece]
    broken: Sequence[str]
    given: Sequence[Piece]
    asked: Sequence[str]


def grade(key: Key, cells: Sequence[str], student: Student) -> list[Mark]:
    """The marks of the code cells of a notebook."""
    asked = [name for task in key.tasks for name in task.names]
    sheet = Sheet(*pieces(cells), pieces(key.given)[0], asked)
    return [_mark(task, sheet, student) for task in key.tasks]


def _mark(task: Task, sheet: Sheet, student: Student) -> Mark:
    points, reasons = 0.0, [_missing(task, sheet)]
    link = None if reasons[0] else student.link()
    start = time.monotonic()
    if link:
        reasons = [_judged(task, check, sheet, link) for check in task.checks]
        points += sum(c.points for c, no in zip(task.checks, reasons, strict=True) if not no)
    reason = "; ".join(dict.fromkeys(filter(None, reasons)))
    seconds = round(time.monotonic() - start, 2)
    own = [definition(name, sheet.written) for name in task.names]
    answer = "\n\n\n".join(piece.text for piece in own if piece)
    return Mark(task.number, task.title, points, task.points, reason, seconds, answer)


def _missing(task: Task, sheet: Sheet) -> str:
    """Why there is nothing to run."""
    bound = {name for piece in sheet.written for name in piece.binds}
    for name in task.names:
        if name not in bound:
            if any(name in cell for cell in sheet.broken):
                return f"the cell with {name} is not Python"
            return f"your notebook defines no {name}"
    return ""


def _judged(task: Task, check: Check, sheet: Sheet, link: Link) -> str:
    """Why a check does not pass, or nothing."""
    try:
        reason = _checked(task, check, sheet, link)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return f"your code was stopped: {link.stopped}" if link.stopped else reason


def _checked(task: Task, check: Check, sheet: Sheet, link: Link) -> str:
    bound, used = names(f"{check.seen}\n{check.hidden}")
    helpers = needed(used - bound, sheet.given)
    used |= {name for piece in helpers for name in piece.uses}
    wanted = [name for name in sheet.asked if name in used or name in task.names]
    theirs = needed(wanted, sheet.written, sheet.given)
    ours, own = ([p.code for p in theirs if (p in sheet.given) is g] for g in (True, False))
    loaded, wrong = link.ask("load", None, ours, own, wanted)
    if absent := [name for name in task.names if name not in loaded]:
        return f"{', '.join(absent)} did not come to be: {wrong}"
    space: dict[str, object] = {"__name__": "check"}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for piece in helpers:
            exec(compile(piece.code, "<the course>", "exec"), space)
        space |= loaded
        link.writes = True
        exec(compile(check.seen, "<the check>", "exec"), space)
        answer = space["answer"]
        if not answer.right:
            outcome = said.getvalue().strip().partition(f"{answer.exercise} not ")
            return f"not {outcome[2]}"
        link.writes = False  # in hidden tests arguments are copies: nobody changes the right ones
        try:
            exec(compile(check.hidden, "<hidden tests>", "exec"), space)
        except Exception:
            return _HIDDEN
    return ""


def nothing(reason: str) -> dict:
    """What came of a submission that could not be graded."""
    return {"exercises": [], "reason": reason, "sandbox": None}


def main() -> None:
    """Grade submission after submission: a line of JSON comes, and a line of JSON goes.

    Each is graded by a copy of this process, which has loaded everything and seen nothing.
    """
    loaded = set()
    for line in sys.stdin:
        given = json.loads(line)["key"]["given"]
        for piece in pieces(given)[0]:
            if piece.code.startswith(("import ", "from ")) and piece.code not in loaded:
                loaded.add(piece.code)
                exec(piece.code, {})
        source, sink = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _answer(json.loads(line), sink)
            finally:
                os._exit(0)
        os.close(sink)
        with open(source) as stream:
            said = stream.read()
        os.waitpid(child, 0)
        print(said or json.dumps(nothing("grading it took too long, or ended")), flush=True)


def _answer(job: dict, sink: int) -> None:
    """Grade one submission, in time and with so much memory, and write what came of it."""
    limits = Limits(**job["limits"])
    die_with_parent()
    signal.alarm(int(limits.seconds * (2 * len(job["key"]["tasks"]) + 1)) + 300)
    hold_memory(2 * limits.megabytes)  # whatever a student sends
    sys.stdout = sys.stderr
    try:
        cells = code_cells(base64.b64decode(job["notebook"]))
        with Student(limits) as student:
            marks = grade(read(job["key"]), cells, student)
        sandbox = {"launcher": student.launcher, "promises": student.promises}
        said = {"exercises": [asdict(m) for m in marks], "reason": None, "sandbox": sandbox}
    except ValueError as error:
        said = nothing(str(error))
    except Exception as error:
        said = nothing(f"grading it stopped with {type(error).__name__}: {error}")
    with open(sink, "w") as stream:
        json.dump(said, stream)


if __name__ == "__main__":
    main()
