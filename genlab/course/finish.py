"""The last touch to each page's HTML: what the theme and its extensions leave undone.

Each rule has its reason; without it a test fails, mostly the one with a browser
(tests/test_site.py), for the spans in code tests/test_finish.py.
"""

import re
import struct
from pathlib import Path

RULES: tuple[tuple[str, str], ...] = (
    # 1.5 MB that draws a dozen icons; the theme's style sheet draws the same ones from a font.
    (r"<script[^>]*scripts/fontawesome\.js[^>]*></script>\s*", ""),
    # Names that contradict the text that is shown (axe: label-content-name-mismatch).
    (r'(<button[^>]*search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # The arrow beside a chapter in the contents has no name (axe: summary-name).
    (r"<summary>(<span class=\"toctree-toggle)", r'<summary aria-label="Pages of this chapter">\1'),
    # Names and signs in code have the colour of their ground: each span is 23 bytes for nothing,
    # a fifth of a page (transferred bytes).
    (r'<span class="(?:n|nn|p|w)">([^<]*)</span>', r"\1"),
    # Roles that ARIA has withdrawn, and a list without items (axe: aria-required-children).
    (r' role="(doc-biblioentry|doc-backlink|list)"', ""),
)
# The index of all words, 0.3 MB and growing: the theme loads it on every page, for a search as you
# type that is off. Searching opens search.html.
_SEARCH = "".join(
    rf"<script src=\"[^\"]*{file}\.js\"></script>\s*"
    for file in ("_static/searchtools", "_static/language_data", "searchindex")
)
_IMAGE = re.compile(r"<img [^>]*>")


def finish(page: Path) -> None:
    """Rewrite one built page in place."""
    old = page.read_text(encoding="utf8")
    new = old
    for pattern, replacement in RULES:
        new = re.sub(pattern, replacement, new)
    if page.name != "search.html":
        new = re.sub(_SEARCH, "", new)
    new = _IMAGE.sub(lambda tag: _sized(tag[0], page), new)
    if new != old:
        page.write_text(new, encoding="utf8")


def _sized(tag: str, page: Path) -> str:
    """An image with its size, so that nothing moves when it comes, and loaded when it is near.

    Lazy loading also spares the reader the twin for the theme that is not shown.
    """
    source = re.search(r'src="([^":]+\.png)"', tag)
    if source is None or not (file := (page.parent / source[1])).is_file():
        return tag
    width, height = png_size(file.read_bytes())
    shown = re.search(r"width: (\d+)px", tag)
    scale = int(shown[1]) / width if shown else 1
    tag = re.sub(r' (style|loading|width|height)="[^"]*"', "", tag)
    size = f' width="{round(width * scale)}" height="{round(height * scale)}" loading="lazy"'
    return tag.replace("<img", "<img" + size, 1)


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its first chunk."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height
