"""What must not be handed out: solutions, and pages that ask other hosts for files."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from genlab.course.hidden import Secrets, secrets
from genlab.course.unpacked import Room, parts

__all__ = ["Secrets", "leaks", "requests_elsewhere", "secrets"]

_DEEPEST = 12


def leaks(secrets: Secrets, folder: Path) -> Iterator[str]:
    """Sentences on every secret that stands in a file of a folder, or in a part of one.

    All files are read, whatever their names, and unpacked as far as it goes. A file that cannot be
    unpacked has a sentence too: nobody knows what it holds.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            told: list[str] = []
            place = (path.relative_to(folder).as_posix(),)
            _search(secrets, place, path.read_bytes(), Room(), told)
            yield from told


def requests_elsewhere(html: Path) -> Iterator[str]:
    """Files that a built page would load from another host."""
    for file in sorted(html.rglob("*.html")):
        if "_static" not in file.parts:
            finder = _Loads()
            finder.feed(file.read_text(encoding="utf8"))
            for url in finder.urls:
                yield f"{file.relative_to(html)} loads {url}"


class _Loads(HTMLParser):
    """Collects the addresses on other hosts that a browser loads by itself."""

    def __init__(self):
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        link = given.get("href") if tag == "link" and given.get("rel") != "canonical" else None
        for url in (given.get("src"), given.get("poster"), link):
            if url and re.match(r"(https?:)?//", url):
                self.urls.append(url)


def _search(
    secrets: Secrets, place: tuple[str, ...], data: bytes, room: Room, told: list[str]
) -> set[tuple[str, str]]:
    """The lines that a file holds; each is told once, with the innermost place that holds it."""
    where, name = " › ".join(place), place[-1]
    held, inside = secrets.lines_in(data), set()
    try:
        if len(place) > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} files stand inside each other")
        for part, text in parts(name, data, room):
            inside |= _search(secrets, (*place, part), text, room, told)
        for file, word in sorted(secrets.words_in(data)):
            told.append(f"{where} lists a word that only {file} uses: {word}")
    except Exception as error:  # whatever a broken file makes its reader raise
        reason = str(error) or type(error).__name__
        told.append(f"{where} cannot be opened, so it cannot be checked: {reason}")
    for file, line in sorted(secrets.lines_in(name.encode())):
        told.append(f"the name of {where} holds a line of {file}: {line}")
    for file, line in sorted(held - inside):
        told.append(f"{where} holds a line of {file}: {line}")
    return inside | held
