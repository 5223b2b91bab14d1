"""What must not be on the site: solutions, and requests to other hosts."""

import html as html_entities
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from genlab.course.notebooks import exercise, read
from genlab.course.root import chapters


def leaks(root: Path, html: Path) -> Iterator[str]:
    """Lines of solutions and hidden tests that are found in a built site, with their place.

    A line counts if it is long enough to be somebody's work and does not stand in the student's
    notebook or the chapter too.
    """
    secrets = {}
    for name in chapters(root):
        source = read(root / "solutions" / f"{name}.py")
        public = _lines(cell.source for cell in exercise(source, name).cells)
        chapter = root / "book" / f"{name}.md"
        public |= _lines([chapter.read_text(encoding="utf8")] if chapter.is_file() else [])
        for line in _lines(cell.source for cell in source.cells) - public:
            secrets[_letters(_unescaped(line))] = f"solutions/{name}.py: {line}"
    for file in sorted(html.rglob("*")):
        if file.is_file() and file.suffix in {".html", ".md", ".ipynb", ".js", ".json", ".txt"}:
            if "vendor" in file.parts:
                continue
            text = _letters(_unescaped(file.read_text(encoding="utf8", errors="replace")))
            for letters, line in secrets.items():
                if letters in text:
                    yield f"{file.relative_to(html)} holds a line of {line}"


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


def _lines(texts) -> set[str]:
    return {
        line.strip()
        for text in texts
        for line in text.splitlines()
        if len(_letters(line)) >= 24 and not line.strip().startswith(("import ", "from "))
    }


def _letters(text: str) -> str:
    """Text without white space, in which tags and line breaks hide nothing."""
    return re.sub(r"\s+", "", text)


def _unescaped(text: str) -> str:
    """Text without highlighting and HTML entities, and without the backslashes of JSON strings."""
    text = re.sub(r"</?span[^>]*>", "", text)
    text = re.sub(r"&#?\w+;", lambda entity: html_entities.unescape(entity[0]), text)
    return text.replace("\\n", "\n").replace("\\", "")
