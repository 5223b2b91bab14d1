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

from genlab.course.grade.channel import ENDED, LATE
from genlab.course.grade.confine import Limits, die_with_parent, hold_memory
from genlab.course.grade.extract import Piece, code_cells, definition, needed, pieces
from genlab.course.grade.key import Check, Key, Task, read
from genlab.course.grade.link import Link
from genlab.course.grade.student import Student
from genlab.course.grade.submissions import printable
from genlab.course.names import names

_HIDDEN = (
    "the check that you saw says “right”; with other numbers your answer is not right, or stops"
)
_STOPPED = "your code was stopped: "
# The reasons in which a student's code has no say.
_OURS = ("", _HIDDEN, "not attempted", f"{_STOPPED}{LATE}", f"{_STOPPED}{ENDED}")


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
    there = not reasons[0] and student.link()  # whose start takes no time of an exercise
    start = time.monotonic()
    if there:
        reasons = [_judged(task, check, sheet, student) for check in task.checks]
        points += sum(c.points for c, no in zip(task.checks, reasons, strict=True) if not no)
    reason = "; ".join(dict.fromkeys(filter(None, reasons)))
    seconds = round(time.monotonic() - start, 2)
    own = [definition(name, sheet.written) for name in task.names]
    answer = "\n\n\n".join(piece.text for piece in own if piece)
    return Mark(task.number, task.title, points, task.points, reason, seconds, answer)


def _missing(task: Task, sheet: Sheet) -> str:
    """Why there is nothing to run."""
    for name in task.names:
        if not any(name in piece.binds for piece in sheet.written):
            if any(name in cell for cell in sheet.broken):
                return f"the cell with {name} is not Python"
            return f"your notebook defines no {name}"
    return ""


def _judged(task: Task, check: Check, sheet: Sheet, student: Student) -> str:
    """Why a check does not pass, or nothing."""
    reason = _tried(task, check, sheet, student)
    if student.informed and reason not in _OURS:
        # It may tell of the hidden tests that it has seen: one that has not seen any has to say it.
        reason = _tried(task, check, sheet, student.unaware())
    return printable(reason[:2000])


def _tried(task: Task, check: Check, sheet: Sheet, student: Student) -> str:
    link = student.link()
    try:
        reason = _checked(task, check, sheet, student, link)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    # How it was stopped in a hidden test may be in words that the student's code chose.
    return f"{_STOPPED}{link.stopped}" if link.stopped and reason != _HIDDEN else reason


def _checked(task: Task, check: Check, sheet: Sheet, student: Student, link: Link) -> str:
    bound, used = names(f"{check.seen}\n{check.hidden}")
    helpers = needed(used - bound, sheet.given)
    used |= {name for piece in helpers for name in piece.uses}
    wanted = [name for name in sheet.asked if name in used or name in task.names]
    theirs = needed(wanted, sheet.written, sheet.given)
    ours, own = ([p.code for p in theirs if (p in sheet.given) is g] for g in (True, False))
    loaded, wrong = link.ask("load", None, ours, own, wanted)
    # What else it sends would stand in place of what the check uses.
    loaded = {name: loaded[name] for name in wanted if name in loaded}
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
            return f"not {said.getvalue().strip().partition(f'{answer.exercise} not ')[2]}"
        link.write_no_more()  # what hidden tests compare with is the check's own
        student.informed = True
        try:
            exec(compile(check.hidden, "<hidden tests>", "exec"), space)
        except Exception:  # whatever it is, it tells of hidden tests
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
        if (child := os.fork()) == 0:
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
    checks = sum(len(task["checks"]) for task in job["key"]["tasks"])
    signal.alarm(int(limits.seconds * (2 * checks + 1)) + 300)  # a check is tried twice at most
    hold_memory(2 * limits.megabytes)  # whatever a student sends
    os.dup2(2, 1)  # on the other is spoken with the run
    try:
        cells = code_cells(base64.b64decode(job["notebook"]))
        with Student(limits) as student:
            marks = grade(read(job["key"]), cells, student)
        sandbox = {"launcher": student.launcher, "promises": student.promises}
        said = {"exercises": [asdict(m) for m in marks], "reason": None, "sandbox": sandbox}
    except Exception as error:
        kind = "" if type(error) is ValueError else f"it stopped with {type(error).__name__}: "
        said = nothing(printable(f"{kind}{error}"))
    with open(sink, "w") as stream:
        json.dump(said, stream)


if __name__ == "__main__":
    main()
