"""Where the course is: the folder that holds ``_toc.yml``."""

from pathlib import Path


class CourseError(Exception):
    """Something a person can put right; the message says what."""


def find_root(start: Path | None = None) -> Path:
    """The course's folder: ``start`` (default: the current one) or the nearest above it.

    Raises:
        CourseError: none of them holds ``_toc.yml``.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_toc.yml").is_file() and (folder / "genlab").is_dir():
            return folder
    raise CourseError(
        f"No course here: neither {start} nor a folder above it holds _toc.yml and genlab/. "
        "Change into the folder that you cloned."
    )


def chapters(root: Path) -> list[str]:
    """Numbered slugs of the chapters that have exercises, in order: ``01_density``, …"""
    return sorted(p.stem for p in (root / "solutions").glob("[0-9][0-9]_*.py"))
