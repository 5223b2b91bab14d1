"""A built page as blocks, each of its kind, and the parts of them that slides show."""

import re
from collections.abc import Iterator

from bs4 import Tag

from genlab.course.release.prose import LINE, brief, plain, sentences, words

# What a block of a page is: the first selector that fits says it.
KINDS = {
    "h1, h2, h3, h4": "heading",
    "p": "paragraph",
    "div.math, blockquote": "formula",
    "div.proof:has(> .admonition-title)": "claim",
    "div.proof": "proof",
    "div.cell, div[class^=highlight-]": "cell",
    "table, div:has(> table)": "table",
    "ul:not(.taxonomy), ol": "items",
    "div.live": "live",
    "div.question, div.dropdown": "question",
}


def prepare(chapter: Tag) -> None:
    """Take from a page what only a page needs."""
    for part in chapter.select(".headerlink, .only-dark, .toctree-wrapper"):
        part.decompose()
    for link in chapter.select("a.image-reference"):
        link.unwrap()
    for part in chapter.select("div.proof section"):  # to reveal.js a section is a slide
        part.name = "div"
    for part in chapter.find_all(id=re.compile(r"^(id\d+|proof(-content)?)$")):
        if part.name != "table":
            del part["id"]  # of a citation or of every proof
    for image in chapter.select("img"):
        image.attrs = {"src": image["src"], "alt": image["alt"]}
    for figure in chapter.select(".explorable"):
        del figure["linked"]  # its state would stand where reveal.js writes the slide's number
        live = figure.wrap(Tag(name="div", attrs={"class": "live", "data-prevent-swipe": ""}))
        live.insert(0, live.find_previous_sibling("style").extract())
        live.append(live.find_next_sibling("script").extract())


def blocks(section: Tag) -> Iterator[Tag]:
    """What stands in a section, its heading first, and in the sections in it."""
    heading = section.find(re.compile(r"^h\d$"), recursive=False)
    heading["id"] = section.get("id", "")
    yield heading
    for child in section.find_all(True, recursive=False):
        if child.name == "section":
            yield from blocks(child)
        elif child is not heading and child.name != "span":  # a span names the section
            yield child


def kind_of(block: Tag | None) -> str:
    """A name among those of ``KINDS``, ``other``, or nothing where there is no block."""
    if block is None:
        return ""
    return next((kind for css, kind in KINDS.items() if block.css.match(css)), "other")


def lines(*markup: Tag | str) -> int:
    """Lines of code, or of what it prints."""
    return sum(len(plain(part).splitlines()) for part in markup)


def parts(items: list[Tag], most: int) -> Iterator[list[Tag]]:
    """As few parts as can be, of about the same size.

    Example:
        >>> list(parts([1, 2, 3, 4, 5, 6, 7], 6))
        [[1, 2, 3, 4], [5, 6, 7]]
    """
    size = -(-len(items) // -(-len(items) // most))
    for i in range(0, len(items), size):
        yield items[i : i + size]


def point(item: Tag) -> str:
    """An item of a list, or its first sentences where it is long."""
    return str(item) if words(item) <= LINE else f"<li>{brief(item.p)}</li>"


def choice(folded: Tag) -> str:
    """An answer to choose, and what there is to say to it."""
    text, reason = folded.summary, folded.div
    text.select_one(".letter").decompose()
    reason["class"] = ["fragment", "right" if "right" in folded["class"] else "wrong"]
    return f"<li>{text.decode_contents()}{reason}</li>"


def steps(proof: Tag) -> list[str]:
    """A proof, sentence by sentence; a displayed formula belongs to the one before it."""
    found: list[str] = []
    for child in proof.find_all(True, recursive=False):
        if child.name == "p":
            found += [f"<p>{text}</p>" for text in sentences(child) if text != "Proof."]
        else:
            found[-1] += str(child)
    return found
