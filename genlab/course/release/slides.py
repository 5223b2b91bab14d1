"""Slides for the lecture hall, made from the pages of the site; they need no network.

Each chapter becomes a deck (:mod:`genlab.course.release.deck`) for reveal.js, in one folder with
everything that it shows. It also opens from a file.
"""

import html as entities
import re
import shutil
from pathlib import Path

from bs4 import BeautifulSoup

from genlab.course.release.deck import Slide, deck
from genlab.course.root import CourseError

# What the slides take from the site: no menu of MathJax, and nothing that reads formulas aloud.
STATIC = (
    "genlab.css",
    "pygments.css",
    "vendor/fonts",
    "vendor/mathjax/LICENSE",
    "vendor/mathjax/tex-chtml.js",
    "vendor/mathjax/input/tex",
    "vendor/mathjax/output/chtml",
)
OWN = ("slides.css", "slides.js")

_ID = re.compile(r'\bid="([^"]+)"')
_FILE = re.compile(r'\bsrc="\.\./([^"]+)"')
_LINK = re.compile(r'<a\b[^>]*?\bhref="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
_MATHJAX = re.compile(r"^window\.MathJax = ")

_HEAD = """\
<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
"""
_DECK = """\
<link rel="stylesheet" href="_static/vendor/reveal/reveal.css">
<link rel="stylesheet" href="_static/pygments.css">
<link rel="stylesheet" href="_static/genlab.css">
<link rel="stylesheet" href="_static/slides.css">
<script>{mathjax}</script>
<script src="_static/slides.js"></script>
<script defer src="_static/vendor/mathjax/tex-chtml.js"></script>
<script defer src="_static/vendor/reveal/reveal.js"></script>
<script defer src="_static/vendor/reveal/plugin/notes.js"></script>
</head>
<body>
<div class="reveal unmeasured"><div class="slides">
{stacks}
</div></div>
</body>
</html>
"""
_INDEX = """\
<link rel="stylesheet" href="_static/slides.css">
</head>
<body class="index">
<h1>{title}</h1>
<ol>
{decks}
</ol>
<p>Space goes on, right and left go from section to section, down and up within one. <kbd>S</kbd>
opens the speaker's window with the text of the page, <kbd>F</kbd> fills the screen, <kbd>Esc</kbd>
shows all slides, <kbd>?</kbd> the other keys. For paper, add <code>?print-pdf</code> to the
address of a deck and print from Chromium.</p>
</body>
</html>
"""


def slides(root: Path, html: Path, folder: Path) -> None:
    """Write a deck for each chapter page of the site ``html``, and ``index.html``, into ``folder``.

    Raises:
        CourseError: reveal.js or MathJax is not there.
    """
    static = html / "_static"
    reveal = root / "book" / "_static" / "vendor" / ".reveal"
    for needed in (reveal, static / "vendor" / "mathjax"):
        if not needed.is_dir():
            raise CourseError(
                f"The slides need {needed.name.strip('.')}, which npm fetches when the site is "
                f"built, but {needed} is not there. Install Node.js and run make book again."
            )
    pages = {
        page.stem: BeautifulSoup(page.read_text(encoding="utf8"), "html.parser")
        for page in sorted((html / "book").glob("[0-9][0-9]_*.html"))
    }
    decks = {name: deck(page) for name, page in pages.items()}
    for name, page in pages.items():
        course = entities.escape(_titles(page)[1])
        decks[name][0][0].shown.insert(0, f'<p class="course">{course} · {name[:2]}</p>')
    bodies = {name: "\n".join(map(_stack, stacks)) for name, stacks in decks.items()}
    places = {name: set(_ID.findall(body)) for name, body in bodies.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        body = _LINK.sub(lambda link, name=name: _linked(link, name, places), bodies[name])
        for file in sorted(set(_FILE.findall(body))):
            _copy(html / file, folder / file)
        text = (_HEAD + _DECK).format(
            title=entities.escape(page.title.string),
            mathjax=page.find("script", string=_MATHJAX).string,
            stacks=_FILE.sub(r'src="\1"', body),
        )
        (folder / f"{name}.html").write_text(text, encoding="utf8")
    for part in STATIC:
        _copy(static / part, folder / "_static" / part)
    _copy(reveal, folder / "_static" / "vendor" / "reveal")
    for name in OWN:
        _copy(Path(__file__).with_name(name), folder / "_static" / name)
    (folder / "index.html").write_text(_index(pages, decks), encoding="utf8")


def _stack(stack: list[Slide]) -> str:
    return "<section>\n" + "\n".join(map(_slide, stack)) + "\n</section>"


def _slide(slide: Slide) -> str:
    shown, notes = "\n".join(slide.shown), "\n".join(slide.notes)
    begins = slide.kind in ("title", "section")
    ground = ' data-background-color="#f1f5f8"' if begins else ""
    head = "" if begins else f"<header>{slide.head}</header>\n"
    return (
        f'<section class="{slide.kind}"{ground}>\n{head}<div class="body">\n{shown}\n</div>\n'
        f'<aside class="notes mathjax_ignore">\n{notes}\n</aside>\n</section>'
    )


def _linked(link: re.Match, name: str, places: dict[str, set[str]]) -> str:
    """A link to a place in the decks; any other link becomes its text."""
    page, _, place = link[1].partition("#")
    target = page.removesuffix(".html") or name
    if target not in places:
        return link[2]
    if place not in places[target]:
        return f'<a href="{page}">{link[2]}</a>' if page else link[2]
    return f'<a href="{page}#/{place}">{link[2]}</a>'


def _titles(page: BeautifulSoup) -> tuple[str, str]:
    """The titles of a page and of the course."""
    title, _, course = page.title.string.strip().rpartition(" — ")
    return title, course


def _index(pages: dict[str, BeautifulSoup], decks: dict[str, list[list[Slide]]]) -> str:
    course = ""
    lines = []
    for name, page in pages.items():
        title, course = _titles(page)
        count = sum(map(len, decks[name]))
        lines.append(
            f'<li value="{int(name[:2])}"><a href="{name}.html">{entities.escape(title)}</a> '
            f"<span>{count} slides</span></li>"
        )
    title = entities.escape(f"{course}: slides")
    return (_HEAD + _INDEX).format(title=title, decks="\n".join(lines))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
