"""What an instructor chose: ``course.toml``, read and checked before anything is made of it."""

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path

import yaml

from genlab.course.exercises import Exercise, lost, parts
from genlab.course.notebooks import read as read_source
from genlab.course.root import CourseError

# Some letters and no control character, which XML cannot hold.
_LINE = r"(?=.*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]*"
# For each text at the top of the file: what it must match, what that is, an example.
TEXTS = {
    "title": (_LINE, "the name of the course in one line", "Generative models"),
    "term": (_LINE, "the term in one line", "Spring 2027"),
    "repository": (
        r"https://github\.com/[\w.-]+/[\w.-]+(?<!\.git)",
        "the address of a repository, https://github.com/OWNER/NAME",
        "https://github.com/you/genlab-students",
    ),
    "branch": (r"[\w.][\w./-]*", "the name of a branch", "main"),
    "hub": (
        r"https://[\w.-]+(:\d+)?(/[\w.~/-]*)?(?<!/)(?<!/hub)",
        "the https address of a JupyterHub, without a slash or /hub at its end",
        "https://hub.example.edu",
    ),
}
CHAPTER = ("due", "exercises", "points")


@dataclass(frozen=True)
class Chapter:
    """A chosen chapter: its chosen exercises in their order, with their points; when it is due."""

    name: str
    points: dict[str, int]
    due: date | datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What is released, to whom, and from where students fetch it; an empty text is not given."""

    title: str
    term: str
    repository: str
    branch: str
    hub: str
    chapters: dict[str, Chapter]


def read(root: Path) -> Plan:
    """The plan of a course; without ``course.toml`` it is everything, and nothing is due.

    Raises:
        CourseError: the file is not TOML, or says what cannot be done; the message names the key,
            what was expected, what came, and an example.
    """
    path = root / "course.toml"
    names = pages(root)
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else None
        given = {"chapters": {n: {} for n in names}} if text is None else tomllib.loads(text)
    except (ValueError, OSError) as error:  # not TOML, not UTF-8, not a file
        raise CourseError(f"course.toml: expected TOML in UTF-8, but: {error}.") from error
    _known_keys("", given, (*TEXTS, "chapters"))
    default = dict.fromkeys(TEXTS, "") | {"branch": "main"}
    texts = {key: _text(key, given[key]) if key in given else default[key] for key in TEXTS}
    texts["title"] = texts["title"] or _title(root)
    chapters = given.get("chapters")
    if not (isinstance(chapters, dict) and chapters):
        raise _wrong("chapters", "at least one chapter", chapters or {}, f"[chapters.{names[0]}]")
    for name in chapters:
        if name not in names:
            with_number = [n for n in names if n[3:] == name] or names
            known = f"one of {', '.join(names)}"
            raise _wrong("chapters", known, name, f"[chapters.{with_number[0]}]")
    return Plan(
        **texts, chapters={n: _chapter(root, n, chapters[n]) for n in names if n in chapters}
    )


def pages(root: Path) -> list[str]:
    """Numbered slugs of the chapters, in their order, with exercises or without."""
    return sorted(path.stem for path in (root / "book").glob("[0-9][0-9]_*.md"))


def in_words(due: date | datetime) -> str:
    """A due date for people.

    Example:
        >>> in_words(datetime.fromisoformat("2027-02-12T23:59:00+01:00"))
        'Friday 12 February 2027, 23:59 (UTC+01:00)'
        >>> in_words(date(2027, 2, 1))
        'Monday 1 February 2027'
    """
    day = f"{due:%A} {due.day} {due:%B} {due.year}"
    return f"{day}, {due:%H:%M} ({due.tzname()})" if isinstance(due, datetime) else day


def _chapter(root: Path, name: str, given: object) -> Chapter:
    key = f"chapters.{name}"
    if not isinstance(given, dict):
        raise _wrong(key, "a table", given, f"[{key}]")
    _known_keys(key, given, CHAPTER)
    due = given.get("due")
    if due is not None and not _is_due(due):
        expected = "a date, or a date and time with its distance from UTC"
        raise _wrong(f"{key}.due", expected, due, "due = 2027-02-12T23:59:00+01:00")
    source = root / "solutions" / f"{name}.py"
    before, there = parts(read_source(source), source.name) if source.is_file() else ([], [])
    chosen = _chosen(key, given, there)
    for number, missed, other in lost(before, there, chosen):
        raise CourseError(
            f"course.toml: {key}.exercises: exercise {number} uses {missed}, which exercise "
            f"{other} defines and which you leave out. Choose {other} too, or leave {number} out."
        )
    return Chapter(name, chosen | _points(key, given, there, chosen), due)


def _is_due(due: object) -> bool:
    return due.tzinfo is not None if isinstance(due, datetime) else isinstance(due, date)


def _chosen(key: str, given: dict, there: list[Exercise]) -> dict[str, int]:
    """The chosen exercises in their order, with the points of the source."""
    numbers = given.get("exercises", [exercise.number for exercise in there])
    known = [exercise.number for exercise in there]
    expected = f"a list of its exercises ({_listed(known)})"
    example = f"exercises = [{', '.join(map(_quoted, known[:2]))}]"
    if not isinstance(numbers, list):
        raise _wrong(f"{key}.exercises", expected, numbers, example)
    for number in numbers:
        if number not in known:
            raise _wrong(f"{key}.exercises", expected, number, example)
        if numbers.count(number) > 1:
            raise _wrong(f"{key}.exercises", "each exercise once", numbers, example)
    return {exercise.number: exercise.points for exercise in there if exercise.number in numbers}


def _points(key: str, given: dict, there: list[Exercise], chosen: dict[str, int]) -> dict[str, int]:
    """The points that are other than in the source."""
    points = given.get("points", {})
    example = f"points = {{ {_quoted(next(iter(chosen), '1.1'))} = 3 }}"
    if not isinstance(points, dict):
        raise _wrong(f"{key}.points", "a table of exercises and their points", points, example)
    for number, value in points.items():
        if number not in chosen:
            expected = f"a chosen exercise ({_listed(chosen)})"
            raise _wrong(f"{key}.points", expected, number, example)
        if type(value) is not int or value < 0:
            expected = "a whole number, not negative"
            raise _wrong(f'{key}.points."{number}"', expected, value, example)
    for exercise in there:
        if points.get(exercise.number, 0) and not exercise.checks:
            raise CourseError(
                f"course.toml: {key}.points: exercise {exercise.number} has no check cell that "
                "could give points. Write one, or take the exercise out of points."
            )
    return points


def _text(key: str, value: object) -> str:
    pattern, expected, example = TEXTS[key]
    if not (isinstance(value, str) and re.fullmatch(pattern, value)):
        raise _wrong(key, expected, value, f"{key} = {_quoted(example)}")
    return value


def _title(root: Path) -> str:
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))["title"]


def _known_keys(place: str, given: dict, known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1, cutoff=0)[0]
            where = f"{place}: " if place else ""
            raise CourseError(
                f"course.toml: {where}unknown key {key}. Did you mean {near}? "
                f"There are {', '.join(known)}."
            )


def _wrong(key: str, expected: str, came: object, example: str) -> CourseError:
    shown = json.dumps(came, default=str, ensure_ascii=False)  # much as TOML writes it
    return CourseError(
        f"course.toml: {key}: expected {expected}; came {shown}. For example: {example}"
    )


def _listed(numbers: Iterable[str]) -> str:
    return ", ".join(numbers) or "there are none"


def _quoted(text: str) -> str:
    return f'"{text}"'
