"""A page of the site as a part of the printed book.

On the one page an anchor carries the name of its file, so that links and page numbers find it.
"""

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag

_CHAPTER = re.compile(r"book/(\d\d)_")
_CHECK = re.compile(r"^with check\(", re.MULTILINE)
_HEADING = re.compile("h[1-6]")
# Twins for a dark screen, anchors to copy, scripts, and code that only draws.
_SCREEN_ONLY = ".only-dark, .headerlink, script, style, .hide.above-input"


def leaf(site: Path, doc: str, docs: list[str]) -> Tag:
    """The page ``doc`` of the site as it stands in a book made of ``docs``."""
    page = BeautifulSoup((site / f"{doc}.html").read_text(encoding="utf8"), "html.parser")
    article = page.article
    _without_screen(article)
    for section in article.select("section[id]:has(> h1, > h2, > h3, > h4)"):
        # A section may begin at the foot of a page and its heading at the head of the next.
        section.find(_HEADING)["id"] = section["id"]
        del section["id"]
    for formula in article.select("span.math"):
        _keep_punctuation(formula)
    if chapter := _CHAPTER.match(doc):
        article["class"].append("chapter")
        article.h1["data-number"] = chapter[1]
    _answers_last(article)
    _link(article, doc, docs)
    return article


def _without_screen(article: Tag) -> None:
    """Take away what only a screen can use."""
    for tag in article.select(_SCREEN_ONLY):
        tag.decompose()
    for cell in article.select(".cell"):
        if _CHECK.search(cell.get_text()):
            cell.decompose()
    for around in article.select(".explorable, a:has(> img)"):
        around.unwrap()
    for image in article.select("img[loading]"):
        del image["loading"]
    for cell in article.select(".cell:has(img)"):
        cell["class"].append("drawing")
    for code in article.select("pre"):
        for text in reversed(list(code.strings)):
            text.replace_with(text.rstrip())
            if text.strip():
                break


def _keep_punctuation(formula: Tag) -> None:
    """Have no line begin with the comma after a formula, or end with the bracket before it."""
    for text, pattern, put in (
        (formula.previous_sibling, r'[(["“‘]+$', formula.insert_before),
        (formula.next_sibling, r"^[^\w\s([“‘]+", formula.insert_after),
    ):
        if isinstance(text, NavigableString) and (found := re.search(pattern, text)):
            text.replace_with(re.sub(pattern, "", text))
            if "together" not in formula.parent.get("class", ()):
                formula.wrap(element('<span class="together"></span>'))
            put(found[0])


def _answers_last(article: Tag) -> None:
    """Leave the questions of a chapter where they are, and put the answers at its end."""
    answers = element('<section class="answers"><h2 id="answers">Answers</h2></section>')
    for number, box in enumerate(article.select(".question, .admonition.dropdown"), 1):
        box["id"], box["class"] = box.get("id", f"question-{number}"), "question"
        answer = f"answer-{number}"
        answers.append(element(f'<div id="{answer}"><a href="#{box["id"]}">{number}</a></div>'))
        answers.contents[-1].extend(_folded(box))
        text = box.select_one(".question-text, .admonition-title")
        text["class"] = "question-text"
        text.insert(0, element(f"<strong>{number}</strong>"))
        text.append(
            element(f'<a href="#{answer}">answer on page <span data-page="{answer}"></span></a>')
        )
    if answers.div:
        article.section.append(answers)


def _folded(box: Tag) -> list[Tag]:
    """What is folded away under a question, taken out of it; its choices stay as a list."""
    if not box.details:
        return [tag.extract() for tag in box.select(":scope > :not(.admonition-title)")]
    choices, reasons = element('<ol type="a"></ol>'), element('<ol type="a"></ol>')
    for details in box.select("details"):
        choice, reason = details.summary.extract(), details.div.extract()
        kind = details["class"]
        details.decompose()
        if "choice" not in kind:
            return [reason]
        choice.name = reason.name = "li"
        choices.append(choice)
        reasons.append(reason)
    box.append(choices)
    return [reasons]


def _link(article: Tag, doc: str, docs: list[str]) -> None:
    """Have anchors, links and images mean on the one page what they meant on their own."""
    for tag in article.select("[id]"):
        tag["id"] = _anchor(doc, tag["id"])
    article["id"] = _anchor(doc)
    for tag in article.select("[data-page]"):
        tag["data-page"] = _anchor(doc, tag["data-page"])
    for image in article.find_all("img"):
        image["src"] = posixpath.join("html", _beside(doc, image["src"]))
    for link in article.find_all("a", href=True):
        address = urlsplit(link["href"])
        page = _beside(doc, address.path).removesuffix(".html") if address.path else doc
        if address.scheme:
            continue
        if page in docs:
            link["href"] = "#" + _anchor(page, unquote(address.fragment))
        else:
            link.unwrap()


def _anchor(doc: str, name: str = "") -> str:
    return "--".join(filter(None, (doc.replace("/", "-"), name)))


def _beside(doc: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(doc), path))


def element(text: str) -> Tag:
    """The element that some HTML describes."""
    return BeautifulSoup(text, "html.parser").find()
