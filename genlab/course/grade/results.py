"""What came of each submission: one JSON file, and tables for Moodle and Canvas.

A result carries the fingerprint of all that it depends on. A run that finds a result with the right
one does not grade again, and a file is there whole or not at all.
"""

import csv
import hashlib
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import genlab
from genlab.course.grade.confine import Limits
from genlab.course.grade.key import Key
from genlab.course.grade.submissions import Submission
from genlab.course.root import CourseError

SCHEMA = 2
_REASON, _ANSWER = 2_000, 100_000  # characters that are kept


def fingerprint(submission: Submission, key: Key | None, limits: Limits) -> str:
    """Changes with the notebook, the key, the limits and the version of genlab."""
    about = [SCHEMA, genlab.__version__, asdict(limits), key and key.fingerprint()]
    about += [submission.student, submission.id, submission.file, submission.problem]
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(submission.data)
    return digest.hexdigest()


def result(submission: Submission, key: Key | None, mark: str, outcome: dict) -> dict:
    """The row of a submission. ``outcome``: exercises, reason and sandbox, as the referee says."""
    exercises = [
        e | {"reason": _short(e["reason"], _REASON), "answer": _short(e["answer"], _ANSWER)}
        for e in outcome["exercises"]
    ] or [
        {
            "number": task.number,
            "title": task.title,
            "points": 0.0,
            "of": task.points,
            "reason": outcome["reason"],
            "seconds": 0.0,
            "answer": "",
        }
        for task in (key.tasks if key else ())
    ]
    return {
        "schema": SCHEMA,
        "student": submission.student,
        "id": submission.id,
        "file": submission.file,
        "chapter": submission.chapter,
        "points": sum(e["points"] for e in exercises),
        "of": key.points if key else 0,
        "reason": outcome["reason"],
        "exercises": exercises,
        "sandbox": outcome["sandbox"],
        "fingerprint": mark,
    }


def place(out: Path, submission: Submission) -> Path:
    """Where its result lies: a name that every file system takes, and that is nobody else's."""
    name = _name(submission.student, submission.file)
    return out / "results" / (submission.chapter or "unknown") / f"{name}.json"


def link(one: dict) -> str:
    """The address of a result's feedback page, from the summary."""
    name = _name(one["student"], one["file"])
    return quote(f"feedback/{one['chapter'] or 'unknown'}/{name}.html")


def _name(student: str, file: str) -> str:
    """Letters and digits of the student's name, in whatever script, and a mark of the file."""
    letters = unicodedata.normalize("NFKD", student).casefold()
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    slug = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", plain)).strip("-")[:40]
    digest = hashlib.sha256(file.encode(errors="replace")).hexdigest()[:20]
    return f"{slug or 'student'}-{digest}"


def stored(path: Path, mark: str) -> dict | None:
    """The result that is there already, if it is of the same submission and key."""
    try:
        old = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return old if isinstance(old, dict) and old.get("fingerprint") == mark else None


def write(path: Path, text: str) -> None:
    """A file that is there whole or not at all.

    Raises:
        CourseError: it cannot be written there.
    """
    new = path.with_name(f"{path.name}.new")
    # Half of a character, as a student may send one, is no UTF-8; JSON reads \\udc00 as the same.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf8", errors="backslashreplace", newline="")
        os.replace(new, path)
    except OSError as error:
        raise CourseError(
            f"{path} cannot be written: {error.strerror}. Make room for it, or give a folder that "
            "you may write to, such as --out grades. What is graded is kept."
        ) from None


def dumps(value: object) -> str:
    """JSON as it is stored."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def counted(results: Iterable[dict]) -> dict[tuple[str, str, str], dict]:
    """The result that counts for each student and chapter: the one with most points."""
    best: dict[tuple[str, str, str], dict] = {}
    for one in results:
        who = one["student"], one["id"], one["chapter"]
        if one["chapter"] and (who not in best or one["points"] > best[who]["points"]):
            best[who] = one
    return best


def canvas(results: Iterable[dict], keys: Mapping[str, Key]) -> list[list]:
    """The rows that Canvas imports into its gradebook: a column for each chapter."""
    best = counted(results)
    students = sorted({who[:2] for who in best})
    chapters = [name for name in keys if any(who[2] == name for who in best)]
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *chapters]
    possible = ["    Points Possible", *[""] * 4, *(f"{keys[name].points:g}" for name in chapters)]
    rows = []
    for name, number in students:
        of = [best.get((name, number, chapter)) for chapter in chapters]
        # Canvas would take the number that Moodle gave a student for that of somebody else.
        mine = "" if any(one and _of_moodle(one) for one in of) else number
        rows.append(
            [_plain(name), mine, "", "", "", *(f"{one['points']:g}" if one else "" for one in of)]
        )
    return [head, possible, *rows]


def moodle(results: Iterable[dict]) -> list[list]:
    """Rows as in Moodle's grading worksheet, with the chapter in front."""
    rows: list[list] = [
        [
            "Chapter",
            "Identifier",
            "Full name",
            "Grade",
            "Maximum grade",
            "Last modified (grade)",  # asked for, and left empty: the clock is no result
            "Feedback comments",
        ]
    ]
    best = counted(results)
    for name, number, chapter in sorted(best, key=lambda who: (who[2], who[:2])):
        one = best[name, number, chapter]
        reasons = [f"{e['number']}: {e['reason']}" for e in one["exercises"] if e["reason"]]
        said = f"Not graded: {one['reason']}" if one["reason"] else "\n".join(reasons)
        identifier = f"Participant {number}" if number and _of_moodle(one) else ""
        points = f"{one['points']:g}", f"{one['of']:g}"
        rows.append([chapter, identifier, _plain(name), *points, "", _plain(said)])
    return rows


def table(rows: Iterable[list]) -> str:
    """Rows as CSV, with the mark by which Excel knows UTF-8; Canvas and Moodle read over it."""
    text = io.StringIO("\ufeff")
    text.seek(1)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _of_moodle(one: dict) -> bool:
    return "_assignsubmission_" in one["file"]


def _short(text: str, most: int) -> str:
    more = len(text) - most
    return text if more <= 0 else f"{text[:most]} … and {more:,} characters more"


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.lstrip().startswith(tuple("=+-@＝＋－＠")) else text
