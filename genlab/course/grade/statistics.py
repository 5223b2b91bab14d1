"""The summary for the instructor: who was graded, and what the exercises tell about themselves.

Difficulty is the mean share of the points. Discrimination is the correlation of an exercise with
the rest of the notebook: near 0 or below, it measures something else, or nothing.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from genlab.course.grade.feedback import document, state, table, text
from genlab.course.grade.key import Key
from genlab.course.grade.plots import histogram, scatter
from genlab.course.grade.results import counted, link

_GOOD, _POOR, _FEW = 0.3, 0.1, 10  # discrimination, as tests are judged by; students


def items(results: Sequence[dict]) -> list[dict]:
    """Figures of each exercise over the graded results of one chapter.

    Returns:
        For each: number, title, students, difficulty, discrimination (NaN where nobody differs),
        share of not attempted, seconds (median of the check), and the reason that was given most
        often, with how often; reasons that differ in their numbers only are one.
    """
    graded = [one for one in results if one["exercises"]]
    found = []
    for row in zip(*(one["exercises"] for one in graded), strict=True):
        points = [e["points"] / e["of"] if e["of"] else 0.0 for e in row]
        rest = [one["points"] - e["points"] for one, e in zip(graded, row, strict=True)]
        reasons = {_numberless(e["reason"]): e["reason"] for e in reversed(row)}
        said = Counter(_numberless(e["reason"]) for e in row if _wrong(e)).most_common(1)
        found.append(
            {
                "number": row[0]["number"],
                "title": row[0]["title"],
                "students": len(row),
                "difficulty": statistics.fmean(points),
                "discrimination": _correlation(points, rest),
                "untried": sum(e["reason"] == "not attempted" for e in row) / len(row),
                "seconds": statistics.median(e["seconds"] for e in row),
                "said": [(reasons[reason], n) for reason, n in said],
            }
        )
    return found


def page(results: Sequence[dict], keys: Mapping[str, Key]) -> str:
    """The summary, a page with plots."""
    best = list(counted(results).values())
    failed = [one for one in results if one["reason"]]
    n = len(results) - len(failed)
    parts = [f"<h1>Grades</h1>\n<p>{_many(n, 'notebook')} graded, {len(failed)} not.</p>"]
    if failed:
        rows = [[_linked(one), text(one["file"]), text(one["reason"])] for one in failed]
        parts += [
            "<h2>Not graded</h2>",
            "<p>These have no points. Whoever stands here needs an answer from you.</p>",
            table("Not graded", ["Student", "File", "Because"], rows),
        ]
    for chapter in keys:
        of = [one for one in best if one["chapter"] == chapter]
        if of:
            parts += [f"<h2>{escape(chapter)}</h2>", *_chapter(of, keys[chapter])]
    return document("Grades", "\n".join([*parts, *_sandbox(results)]))


def _sandbox(results: Sequence[dict]) -> list[str]:
    """What held of the processes of students."""
    promises = Counter(
        (one["sandbox"]["launcher"], *one["sandbox"]["promises"])
        for one in results
        if one["sandbox"]
    )
    lines = ["<h2>What the sandbox held</h2>"] if promises else []
    for (launcher, *held), n in sorted(promises.items()):
        kept = "\n".join(f"<li>{escape(promise)}</li>" for promise in held)
        lines.append(f"<p>{_many(n, 'notebook')}, started with {escape(launcher)}:</p>")
        lines.append(f"<ul>\n{kept or '<li>nothing</li>'}\n</ul>")
    return lines


def _chapter(results: list[dict], key: Key) -> list[str]:
    graded = [one for one in results if not one["reason"]]
    students = sorted(results, key=lambda one: (one["student"].casefold(), one["id"], one["file"]))
    parts = []
    if graded and key.tasks:
        totals = [one["points"] for one in graded]
        mean, middle = statistics.fmean(totals), statistics.median(totals)
        parts += [
            f"<p>{_many(len(graded), 'student')}. Points, of {key.points:g}: mean {mean:.1f}, "
            f"median {middle:g}, from {min(totals):g} to {max(totals):g}.</p>",
            histogram(totals, key.points),
            *_exercises(items(graded)),
        ]
    head = ["Student", "Points", *(escape(task.number) for task in key.tasks)]
    rows = [[_name(one), f"{one['points']:g}", *_row(one, key)] for one in students]
    return [
        *parts,
        "<h3>Students</h3>",
        "<p>Points of each exercise; – is not attempted. A name leads to the student's page.</p>",
        table("Students", head, rows, numbers=len(key.tasks) + 1),
    ]


def _exercises(found: list[dict]) -> list[str]:
    rows = [
        [
            f"{escape(item['number'])} {escape(item['title'])}{_verdict(item)}",
            f"{item['difficulty']:.0%}",
            f"{item['untried']:.0%}",
            _signed(item["discrimination"]),
            f"{item['seconds']:.2f} s",
        ]
        for item in found
    ]
    head = ["Exercise", "Points reached", "Not attempted", "Discrimination", "Check takes"]
    few = found[0]["students"] < _FEW
    said = [
        f"<li>{escape(item['number'])}, {_many(n, 'student')}: "
        f"{text(reason.removeprefix('not yet, because '))}</li>"
        for item in found
        for reason, n in item["said"]
        if n > 1
    ]
    return [
        "<h3>Exercises</h3>",
        f"<p>Discrimination of {_GOOD} or more: it tells students apart. Below {_POOR}: look at "
        f"it.{' With so few students it says little.' if few else ''}</p>",
        table("Exercises", head, rows, numbers=4),
        scatter(found, (_POOR, _GOOD)),
        *(["<h3>What was wrong most often</h3>\n<ul>", *said, "</ul>"] if said else []),
    ]


def _verdict(item: dict) -> str:
    if item["students"] < _FEW:
        return ""
    said = ""
    if item["difficulty"] == 0:
        said = "nobody has it right: look at it"
    elif item["discrimination"] < _POOR:
        said = "look at it: those who are good elsewhere fail here as often"
    return f'<br><span class="wrong">{said}</span>' if said else ""


def _row(one: dict, key: Key) -> list[str]:
    if one["reason"]:
        return ["" for _ in key.tasks]
    untried = '<span class="untried">–</span>'
    shown = {"right": "{:g}", "not attempted": untried}
    return [
        shown.get(state(e), '<span class="wrong">{:g}</span>').format(e["points"])
        for e in one["exercises"]
    ]


def _name(one: dict) -> str:
    return f"{_linked(one)}, not graded" if one["reason"] else _linked(one)


def _linked(one: dict) -> str:
    return f'<a href="{link(one)}">{text(one["student"])}</a>'


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def _wrong(exercise: dict) -> bool:
    return exercise["reason"] not in ("", "not attempted")


def _numberless(reason: str) -> str:
    return re.sub(r"\d[\d.,e+-]*", "#", reason)


def _correlation(a: list[float], b: list[float]) -> float:
    try:
        return statistics.correlation(a, b)
    except statistics.StatisticsError:  # fewer than two, or all alike
        return math.nan
