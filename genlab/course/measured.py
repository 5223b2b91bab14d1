"""The page "Measured": what stands in benchmarks/results, as tables."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean

from docutils import nodes
from sphinx.util import logging

from genlab.course import layout

logger = logging.getLogger(__name__)

NBSP = "\N{NO-BREAK SPACE}"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# What a measurement may hold beside plain numbers; each has a place in the page.
PLACED = {
    "what",
    "setting",
    "seconds",
    "ratios",
    "max_abs_error",
    "max_abs_gap",
    "published",
    "repetitions",
    "targets",
}


def measured(root: Path) -> list[nodes.Node]:
    """A section for each file of results."""
    return [
        _family(json.loads(file.read_text(encoding="utf8")))
        for file in sorted((root / "benchmarks" / "results").glob("*.json"))
    ]


def _family(record: dict) -> nodes.section:
    groups: dict[str, list[dict]] = {}
    for measurement in record["measurements"]:
        groups.setdefault(measurement["what"], []).append(measurement)
    return layout.section(
        _capital(record["family"]),
        _setting(record),
        *(_group(record["family"], what, group) for what, group in groups.items()),
        name=f"measured {record['family']}",
    )


def _setting(record: dict) -> nodes.bullet_list:
    changed = record["changed"]
    commit = record["commit"][:10]
    if changed:
        commit += f", with {len(changed)} files changed or added since: {', '.join(changed)}"
    load = ", ".join(f"{value:g}" for value in record["load"])
    said = {
        "Date": f"{datetime.fromisoformat(record['date']):%d %B %Y, %H:%M} UTC".lstrip("0"),
        "Commit": commit,
        "Processor": f"{record['processor']}, {record['cores']} cores, "
        f"{record['vector_instructions']}, {record['platform']}",
        "Load": f"{load} over 1, 5 and 15 minutes",
        "Threads": ", ".join(dict.fromkeys(record["threads"])),
        "Versions": ", ".join(f"{name} {v}" for name, v in record["versions"].items()),
    }
    return layout.bullets((nodes.strong(text=name), f": {v}") for name, v in said.items())


def _group(family: str, what: str, group: list[dict]) -> nodes.section:
    """Measurements of one thing in several settings."""
    content: list[nodes.Node] = [layout.paragraph(_sentence(group))]
    for head, rows in (
        _times(group),
        _errors(group, "max_abs_error", "Largest error"),
        _errors(group, "max_abs_gap", "Largest gap to genlab"),
        _published(group),
        _repetitions(group),
        _figures(group),
        _targets(group),
    ):
        if rows:
            start = 1 if len(group) == 1 else 0  # one setting needs no column
            content.append(layout.table(head[start:], [row[start:] for row in rows]))
    for m in group:
        for key in set(m) - PLACED:
            if not _numbers(key, m[key]):
                logger.warning("%s, %s: no place in the page for %r", family, what, key)
    return layout.section(_capital(what), *content, name=f"{family} {what}")


def _sentence(group: list[dict]) -> str:
    """Who is compared, how often, and in which settings."""
    said = ""
    if "seconds" in group[0]:
        ours, *others = group[0]["seconds"]
        rounds = len(group[0]["seconds"][ours]["cpu"])
        said = f"{ours} beside {_and(others)}, {rounds} rounds. "
    values = {key: [_given(m["setting"][key]) for m in group] for key in group[0]["setting"]}
    parts = [
        f"{key} = {', '.join(found if len(set(found)) > 1 else found[:1])}"
        for key, found in values.items()
    ]
    return f"{said}Setting: {'; '.join(parts)}."


def _times(group: list[dict]) -> tuple[Sequence[str], list]:
    head = ("Setting", "Entrant", "CPU time", "Wall time", "CPU time, as a multiple of genlab's")
    rows = []
    for m in group:
        for name, times in m.get("seconds", {}).items():
            ratio = m["ratios"].get(name)
            multiple = (
                _spread(*(ratio["cpu"][key] for key in ("median", "min", "max"))) if ratio else "1"
            )
            clocks = [_seconds(times[f"median_{c}"], times[c]) for c in ("cpu", "wall")]
            rows.append((_where(m, group), name, *clocks, multiple))
    return head, rows


def _errors(group: list[dict], key: str, title: str) -> tuple[Sequence[str], list]:
    """Absolute errors or gaps; an entrant has one figure, or one for each part of the queries."""
    head, rows = ["Setting", "Entrant"], []
    for m in group:
        for name, found in m.get(key, {}).items():
            parts = found if isinstance(found, dict) else {"": found}
            head[2:] = [f"{title}, {part}" if part else title for part in parts]
            rows.append((_where(m, group), name, *map(number, parts.values())))
    return head, rows


def _published(group: list[dict]) -> tuple[Sequence[str], list]:
    """Figures of the literature beside those reached here."""
    rows = [
        (
            _where(m, group),
            p["what"],
            *(_quantity(p["what"], p[key]) for key in ("here", "published")),
            p["source"],
        )
        for m in group
        for p in m.get("published", [])
    ]
    return ("Setting", "Figure", "Here", "Reference", "Source"), rows


def _repetitions(group: list[dict]) -> tuple[Sequence[str], list]:
    """Figures of runs that differ in their seed alone."""
    rows = [
        (
            _where(m, group),
            name,
            _quantity(name, mean(values)),
            ", ".join(_quantity(name, value) for value in values),
        )
        for m in group
        for name, values in m.get("repetitions", {}).items()
    ]
    return ("Setting", "Figure", "Mean", "Every repetition"), rows


def _figures(group: list[dict]) -> tuple[Sequence[str], list]:
    """Plain numbers, alone or one an entrant, under their names in the file."""
    rows = [
        (_where(m, group), name, _quantity(key, value))
        for m in group
        for key in m
        if key not in PLACED
        for name, value in _numbers(key, m[key]).items()
    ]
    return ("Setting", "Figure", "Value"), rows


def _numbers(key: str, value: object) -> dict[str, float]:
    """The numbers of one entry of a measurement, by the words that stand before them."""
    name = key.replace("_", " ")
    parts = {f"{name}, {of}": v for of, v in value.items()} if isinstance(value, dict) else {}
    parts = parts or {name: value}
    return parts if all(isinstance(v, int | float) for v in parts.values()) else {}


def _targets(group: list[dict]) -> tuple[Sequence[str], list]:
    rows = []
    for m in group:
        for t in m["targets"]:
            least = "at_least" in t
            limit = _quantity(t["what"], t["at_least" if least else "at_most"])
            rows.append(
                (
                    _where(m, group),
                    t["what"],
                    _quantity(t["what"], t["value"]),
                    f"at {'least' if least else 'most'} {limit}",
                    "yes" if t["met"] else "no, missed",
                )
            )
    return ("Setting", "Limit on", "Reached", "Limit", "Kept"), rows


def _where(measurement: dict, group: list[dict]) -> str:
    """The setting of one measurement, as far as it tells it from the others."""
    setting = measurement["setting"]
    varied = [key for key in setting if len({m["setting"][key] for m in group}) > 1]
    if len({m["setting"][key] for m in group for key in varied[:1]}) == len(group):
        varied = varied[:1]
    return ", ".join(f"{key} = {_given(setting[key])}" for key in varied)


def _spread(median: float, least: float, most: float, unit: str = "") -> str:
    """Median and range; a line breaks between them and nowhere else."""
    middle = f"{number(median)} {unit}".strip().replace(" ", NBSP)
    return f"{middle} ({number(least)} to {number(most)})".replace(" to ", f"{NBSP}to{NBSP}")


def _seconds(median: float, repetitions: list[float]) -> str:
    """Median and range of times, in the unit that suits the median."""
    scale, unit = (1, "s") if median >= 1 else (1e3, "ms") if median >= 1e-3 else (1e6, "µs")
    return _spread(median * scale, min(repetitions) * scale, max(repetitions) * scale, unit)


def _quantity(what: str, value: float) -> str:
    """A number in the unit that its name gives; nats as papers print them."""
    if "bytes" in what:
        return f"{number(value / 1e6)} MB"
    if "nats" in what and abs(value) >= 10:
        return f"{value:.2f}"
    return f"{number(value)} s" if "seconds" in what else number(value)


def number(value: float) -> str:
    """Three digits, or all before the point; thousands apart; whole numbers whole.

    Example:
        >>> number(10000), number(0.158489), number(199.674), number(4.69801e-06)
        ('10,000', '0.158', '200', '4.70·10⁻⁶')
    """
    if isinstance(value, int) or abs(value) >= 1e3:
        return f"{value:,.0f}"
    digits, small, power = f"{value:#.3g}".partition("e")
    return f"{digits}·10{str(int(power)).translate(RAISED)}" if small else digits.rstrip(".")


def _given(value: float | str) -> str:
    """A part of the setting, as it stands in the file."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
