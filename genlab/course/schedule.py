"""The dates of the course: what is due when, for how many points."""

from pathlib import Path

from docutils import nodes

from genlab.course import layout
from genlab.course.release.plan import Chapter, in_words, read

HEAD = ("Chapter", "Exercises", "Points", "Due")


def schedule(root: Path) -> list[nodes.Node]:
    """A section with the chapters of ``course.toml``; nothing at all where nothing is due."""
    chapters = read(root).chapters.values()
    if not any(chapter.due for chapter in chapters):
        return []
    return [layout.section("Dates", layout.table(HEAD, (_row(root, one) for one in chapters)))]


def _row(root: Path, chapter: Chapter) -> list[layout.Cell]:
    count = len(chapter.points)
    exercises = f"{count} exercise{'' if count == 1 else 's'}"
    return [
        layout.chapter_link(root, chapter.name[3:]),
        layout.page_link(f"/exercises/{chapter.name}", exercises) if count else "none",
        str(sum(chapter.points.values())) if count else "",
        in_words(chapter.due) if chapter.due else "",
    ]
