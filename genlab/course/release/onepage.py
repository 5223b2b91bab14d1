"""The book as one page for paper, put together from the pages of the site.

Sphinx can build a single page itself, but every file of the book has anchors called ``id1`` or
``proof``, and on that page each citation leads to the wrong one. Here every link arrives.
"""

import html
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import yaml
from bs4 import Tag

from genlab.course.release.leaf import element, leaf

# What a student looks up and does not read, or is for those who teach.
_SITE_ONLY = re.compile(r"book/(api|catalogue|coverage|measured|teach)\b")

_ON_PAPER = """<section><h2>On paper</h2>
<p>This is the site of the course as a book. A figure that computes on the site stands here as it
starts, and words in a frame, like <button>these</button>, are its buttons. Code that only draws is
left out. So are the checks of the exercises, which are in the notebooks, and the reference of the
package, which is on the site. Answers to the questions stand at the end of each chapter.</p>
</section>"""

_PAGE = """<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<link rel="stylesheet" href="html/_static/pygments.css">
<link rel="stylesheet" href="html/_static/genlab.css">
<style>{style}</style>
<script>MathJax = {mathjax};
{script}</script>
<script defer src="html/_static/vendor/mathjax/tex-chtml.js"></script>
</head>
<body>
{body}
</body>
</html>
"""


def one_page(root: Path, when: datetime) -> str:
    """The page to print; its place is in ``root/_build``, beside the site in ``_build/html``.

    The number of the page on which ``x`` stands is to be filled into
    ``<span data-page="x"></span>``.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    parts = _parts(root)
    docs = [doc for _, docs in parts for doc in docs]
    articles = {doc: leaf(root / "_build" / "html", doc, docs) for doc in docs}
    first = articles[docs[0]]
    first.h1.string = "Preface"
    first.section.append(element(_ON_PAPER))
    body = [
        _title_page(config, first, when),
        _contents([(caption, [articles[doc] for doc in docs]) for caption, docs in parts]),
        *map(str, articles.values()),
    ]
    return _PAGE.format(
        style="\n".join([_own("print.css"), *map(_running_title, articles.values())]),
        mathjax=json.dumps(config["sphinx"]["config"]["mathjax3_config"]),
        script=_own("print.js"),
        body="\n".join(body),
    )


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf8")


def _parts(root: Path) -> list[tuple[str, list[str]]]:
    """The files of the table of contents under their captions, without what is left out."""

    def files(entry: dict) -> Iterator[str]:
        if not _SITE_ONLY.match(entry["file"]):
            yield entry["file"]
        for section in entry.get("sections", ()):
            yield from files(section)

    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    parts = [
        (part["caption"], [doc for entry in part["chapters"] for doc in files(entry)])
        for part in toc["parts"]
    ]
    return [("", [toc["root"]]), *parts]


def _title_page(config: dict, first: Tag, when: datetime) -> str:
    """Title, what the first page shows before its text, who made it, and of when it is."""
    shown = [tag.extract() for tag in first.select("section > .lead, section > .picture")]
    return f"""<header>
<p class="title">{html.escape(config["title"])}</p>
{"".join(map(str, shown))}
<p class="author">{html.escape(config["author"])}</p>
<p class="edition">Edition of {when.day} {when:%B %Y}</p>
<p class="licence">© {config["copyright"]} {html.escape(config["author"])}.
Text and figures are under CC BY 4.0, the code under the MIT licence.</p>
</header>"""


def _contents(parts: list[tuple[str, list[Tag]]]) -> str:
    """The table of contents: pages, and the sections of the chapters."""
    lines = ['<nav><h1 id="contents">Contents</h1>']
    for caption, articles in parts:
        lines += [f'<p class="part">{html.escape(caption)}</p>'] * bool(caption)
        for article in articles:
            depth = "h1, h2" if "chapter" in article["class"] else "h1"
            lines += [_entry(heading) for heading in article.select(depth)]
    return "\n".join([*lines, "</nav>"])


def _entry(heading: Tag) -> str:
    number = heading.get("data-number", "")
    return (
        f'<a class="{heading.name}" href="#{heading["id"]}" data-number="{number}">'
        f'<span>{heading.decode_contents()}</span><span data-page="{heading["id"]}"></span></a>'
    )


def _running_title(article: Tag) -> str:
    """At the foot of its pages stands what one is reading."""
    title = json.dumps(article.h1.get_text(), ensure_ascii=False)
    name = article["id"]
    return f"#{name} {{ page: {name} }} @page {name} {{ @bottom-left {{ content: {title} }} }}"
