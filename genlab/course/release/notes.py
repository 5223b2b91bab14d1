"""Release notes: what changed for students and instructors since the release before."""

import tomllib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import nbformat

from genlab.course.exercises import parts
from genlab.course.layout import chapter_title
from genlab.course.release.history import git
from genlab.course.release.plan import Plan, in_words

TAG = "release-"


def notes(root: Path, plan: Plan, version: str, commit: str, when: datetime) -> str:
    """The notes of a release as Markdown, from the history of the repository alone.

    The release before is the nearest commit of it that is tagged ``release-…``, this version's own
    tag left aside, so that tagging the commit afterwards changes nothing.
    """
    old = tag_before(root, version)
    title = f"# {plan.title}, {version}" + (f" ({plan.term})" if plan.term else "")
    cut = f"Cut from commit {commit[:12]} of {when:%-d %B %Y}."
    if not old:
        return "\n\n".join([title, f"{cut} The first release.", _contents(root, plan)]) + "\n"
    return (
        "\n\n".join(
            [
                title,
                f"{cut} Since {old.removeprefix(TAG)}:",
                _list(_new_lines(root, old), "Nothing is entered in CHANGELOG.md."),
                "## Chapters",
                _list(_chapters(root, plan, old), "No chapter changed."),
                "## Dates and selection",
                _list(_dates(root, plan, old), "As before."),
                _contents(root, plan),
            ]
        )
        + "\n"
    )


def tag_before(root: Path, version: str) -> str:
    """The tag of the release before, or nothing."""
    own = f"--exclude={TAG}{version}"
    return git(root, "describe", "--tags", "--abbrev=0", f"--match={TAG}*", own, otherwise="")


def _new_lines(root: Path, old: str) -> list[str]:
    """Entries of CHANGELOG.md that were not there."""
    was, now = (
        _entries(git(root, "show", f"{commit}:CHANGELOG.md", otherwise=""))
        for commit in (old, "HEAD")
    )
    return [entry for entry in now if entry not in was]


def _entries(text: str) -> list[str]:
    return [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]


def _chapters(root: Path, plan: Plan, old: str) -> list[str]:
    changed = set(git(root, "diff", "--name-only", old, "HEAD").splitlines())
    lines = []
    for name in plan.chapters:
        slug = name[3:]
        what = ["the page"] if f"book/{name}.md" in changed else []
        if any(f.startswith((f"genlab/{slug}/", f"genlab/{slug}.py")) for f in changed):
            what.append(f"genlab.{slug}")
        what += _exercises(root, name, old, plan.chapters[name].points)
        if what:
            lines.append(f"{chapter_title(root, slug)}: {', '.join(what)}")
    return lines


def _exercises(root: Path, name: str, old: str, chosen: Iterable[str]) -> list[str]:
    """The exercises whose task or check is not what it was."""
    file = f"exercises/{name}.ipynb"
    text = git(root, "show", f"{old}:{file}", otherwise="")
    if not text or not chosen:
        return ["the exercises are new"] if chosen else []
    was, now = (
        {
            exercise.number: [cell.source for cell in exercise.cells]
            for exercise in parts(nb, name)[1]
        }
        for nb in (nbformat.reads(text, 4), nbformat.read(root / file, 4))
    )
    changed = [number for number in chosen if now[number] != was.get(number)]
    return [f"exercise {number}" for number in changed]


def _dates(root: Path, plan: Plan, old: str) -> list[str]:
    was, now = (
        tomllib.loads(git(root, "show", f"{commit}:course.toml", otherwise="")).get("chapters", {})
        for commit in (old, "HEAD")
    )
    lines = [
        f"{name}: due {_when(chapter.due)}, before {_when(was[name].get('due'))}"
        for name, chapter in plan.chapters.items()
        if name in was and was[name].get("due") != chapter.due
    ]
    lines += [
        f"{name}: the {key} are other than before"
        for name in plan.chapters
        for key in ("exercises", "points")
        if name in was and was[name].get(key) != now.get(name, {}).get(key)
    ]
    lines += [f"{name} is new in the course" for name in plan.chapters if was and name not in was]
    return lines + [f"{name} is no longer in it" for name in was if name not in plan.chapters]


def _contents(root: Path, plan: Plan) -> str:
    rows = [
        f"| {chapter_title(root, name[3:])} | {', '.join(chapter.points) or 'none'} "
        f"| {sum(chapter.points.values())} | {_when(chapter.due)} |"
        for name, chapter in plan.chapters.items()
    ]
    head = ["| chapter | exercises | points | due |", "|---|---|---|---|"]
    return "\n".join(["## What is in it", "", *head, *rows])


def _when(due: date | datetime | None) -> str:
    return in_words(due) if due else "at no date"


def _list(lines: list[str], otherwise: str) -> str:
    return "\n".join(f"- {line}" for line in lines) or otherwise
