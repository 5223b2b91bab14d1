"""The summary for the instructor: who was graded, and what the exercises tell about themselves.

Difficulty is the mean share of the points. Discrimination is the correlation of an exercise with
the rest of the notebook: near 0 or below, it measures something else, or nothing.
"""

import base64
import io
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

from genlab.course.grade.feedback import document
from genlab.course.grade.key import Key
from genlab.course.grade.results import counted

_GOOD, _POOR = 0.3, 0.1  # discrimination, as tests are judged by


def items(results: Sequence[dict]) -> list[dict]:
    """Figures of each exercise over the results of one chapter, those without exercises left out.

    Returns:
        For each: number, title, students, difficulty, discrimination (NaN where nobody differs),
        shares of right and of not attempted, seconds (median of the check).
    """
    graded = [one for one in results if one["exercises"]]
    found = []
    for row in zip(*(one["exercises"] for one in graded), strict=True):
        points = [e["points"] / e["of"] if e["of"] else 0.0 for e in row]
        rest = [one["points"] - e["points"] for one, e in zip(graded, row, strict=True)]
        found.append(
            {
                "number": row[0]["number"],
                "title": row[0]["title"],
                "students": len(row),
                "difficulty": statistics.fmean(points),
                "discrimination": _correlation(points, rest),
                "untried": sum(e["reason"] == "not attempted" for e in row) / len(row),
                "seconds": statistics.median(e["seconds"] for e in row),
            }
        )
    return found


def page(results: Sequence[dict], keys: Mapping[str, Key]) -> str:
    """The summary, a page with plots."""
    best = list(counted(results).values())
    parts = ["<h1>Grades</h1>", _overview(results)]
    for chapter in keys:
        of = [one for one in best if one["chapter"] == chapter]
        if of:
            parts += [f"<h2>{escape(chapter)}</h2>", *_chapter(of, keys[chapter])]
    return document("Grades", "\n".join(parts))


def _overview(results: Sequence[dict]) -> str:
    promises = Counter(
        (one["sandbox"]["launcher"], *one["sandbox"]["promises"])
        for one in results
        if one["sandbox"]
    )
    lines = [f"<p>{len(results)} submissions.</p>"]
    for (launcher, *held), n in sorted(promises.items()):
        lines.append(f"<p>{n} ran under <em>{escape(launcher)}</em>. What held: ")
        lines.append(f"{escape('; '.join(held)) or 'nothing'}.</p>")
    failed = [one for one in results if one["reason"]]
    if failed:
        lines.append(_table(["not graded", "because"], [[o["file"], o["reason"]] for o in failed]))
    return "\n".join(lines)


def _chapter(results: list[dict], key: Key) -> list[str]:
    totals = [one["points"] for one in results]
    found = items(results)
    mean, middle = statistics.fmean(totals), statistics.median(totals)
    rows = [
        [
            item["number"],
            item["title"],
            f"{item['difficulty']:.0%}",
            f"{item['untried']:.0%}",
            "–" if math.isnan(item["discrimination"]) else f"{item['discrimination']:.2f}",
            f"{item['seconds']:.1f} s",
            _verdict(item),
        ]
        for item in found
    ]
    head = ["", "exercise", "points reached", "not attempted", "discrimination", "check", ""]
    return [
        f"<p>{len(results)} students, {key.points:g} points: mean {mean:.1f}, median {middle:g}, "
        f"from {min(totals):g} to {max(totals):g}.</p>",
        _histogram(totals, key.points),
        _table(head, rows),
        _scatter(found) if found else "",
    ]


def _verdict(item: dict) -> str:
    if item["students"] < 10 or math.isnan(item["discrimination"]):
        return ""
    if item["discrimination"] < _POOR:
        return "look at it: those who are good elsewhere fail here as often"
    return "tells students apart" if item["discrimination"] >= _GOOD else ""


def _correlation(a: list[float], b: list[float]) -> float:
    try:
        return statistics.correlation(a, b)
    except statistics.StatisticsError:  # fewer than two, or all alike
        return math.nan


def _histogram(totals: list[float], most: float) -> str:
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    ax = figure.subplots()
    ax.hist(totals, bins=[k - 0.5 for k in range(math.ceil(most) + 2)], color="#4477aa")
    ax.set(xlabel="points", ylabel="students")
    ax.yaxis.get_major_locator().set_params(integer=True)
    return _image(figure, f"Histogram of the points of {len(totals)} students.")


def _scatter(found: list[dict]) -> str:
    figure = Figure(figsize=(6, 3), layout="constrained")
    ax = figure.subplots()
    ax.axhline(_POOR, color="#bbbbbb", lw=1)
    for item in found:
        if not math.isnan(item["discrimination"]):
            at = item["difficulty"], item["discrimination"]
            ax.plot(*at, "o", color="#4477aa")
            ax.annotate(item["number"], at, xytext=(5, 4), textcoords="offset points")
    ax.set(xlabel="share of points reached", ylabel="discrimination", xlim=(-0.05, 1.05))
    return _image(figure, "Discrimination of each exercise against the share of points reached.")


def _image(figure: Figure, alt: str) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, metadata={"Software": None})
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<p><img src="data:image/png;base64,{encoded}" alt="{escape(alt)}"></p>'


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows
    )
    return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
