"""What of a page's prose can stand on a slide: a sentence here and there, as HTML."""

import copy
import html
import re

from bs4 import BeautifulSoup, NavigableString, Tag

LINE = 32  # words of a sentence above or under something, and of an item of a list
OPENING = 45  # words under the heading of a section

# A sentence ends here if another begins, or something that is not text: a formula, an emphasis.
# Initials end none.
_END = re.compile(r"((?<!\b[A-Z])(?<!i\.e)(?<!e\.g)[.?!][”’)]*)\s+(?=[A-Z“‘(]|$)")
_ENDED = re.compile(r"[.?!][”’)]*(</\w+>)+$")
_TITLE = re.compile(r"<(strong|em)>[^<]*</\1>")  # an emphasis and nothing else


def sentences(paragraph: Tag) -> list[str]:
    """The sentences of a paragraph; one that is all emphasis belongs to the next.

    Example:
        >>> page = BeautifulSoup("<p>Is it? <em>It is.</em> So R. A. Fisher. Yes.", "html.parser")
        >>> sentences(page.p)
        ['Is it?', '<em>It is.</em> So R. A. Fisher.', 'Yes.']
    """
    text = ""
    for child in paragraph.children:
        if isinstance(child, NavigableString):
            if _ENDED.search(text) and re.match(r"\s+[A-Z“‘(]", child):
                text += "\0"
            text += _END.sub("\\1\0", html.escape(child, quote=False))
        else:
            text += str(child)
    found: list[str] = []
    for part in filter(None, (" ".join(part.split()) for part in text.split("\0"))):
        if found and _TITLE.fullmatch(found[-1]):
            found[-1] += f" {part}"
        else:
            found.append(part)
    return found


def plain(markup: Tag | str) -> str:
    """The text of HTML, formulas as TeX."""
    return BeautifulSoup(str(markup), "html.parser").get_text().strip()


def words(*markup: Tag | str) -> int:
    """How many words a reader sees, a formula counted by the parts of its TeX."""
    return sum(len(plain(part).split()) for part in markup)


def opening(paragraph: Tag) -> str:
    """How a section begins: up to its question, or with its first sentence, or nothing."""
    first = sentences(paragraph)[:4]
    asked = [i for i, text in enumerate(first) if plain(text).endswith(("?", "?”"))]
    begins = [first[: asked[0] + 1], first[asked[0] : asked[0] + 1]] if asked else [first[:1]]
    found = next((" ".join(begin) for begin in begins if words(*begin) <= OPENING), "")
    return "" if plain(found).endswith((":", ",")) else found  # that leads to something else


def brief(paragraph: Tag) -> str:
    """As many sentences of a paragraph as fit on a line, and at least one."""
    first, *more = sentences(paragraph)
    for text in more:
        if words(first, text) > LINE:
            break
        first += f" {text}"
    return first


def caption(paragraph: Tag | None, alt: str) -> str:
    """What was to be seen, said by the paragraph's first sentence or that of the alt text."""
    first = sentences(paragraph)[0] if paragraph else ""
    leads = plain(first).endswith(("?", ":")) or first.startswith(("<strong>", "<em>"))
    if first and not leads and words(first) <= LINE:
        return first
    return html.escape(alt.split(". ")[0].rstrip(".") + ".", quote=False) if alt else ""


def named(texts: list[str]) -> list[str]:
    """The sentences that name something in bold."""
    return [text for text in texts if "<strong>" in text]


def said(block: Tag) -> str:
    """A block for the notes, where nothing can be clicked and MathJax does not look."""
    told = copy.copy(block)
    for part in told.select("a, button"):
        part.unwrap()
    for part in [told, *told.find_all(True)]:
        part.attrs.pop("id", None)
        if "math" in part.get("class", []):
            part["class"] = "tex"
    return str(told)
