"""A chapter's page as slides: what is to be seen stands on them, the prose is in the notes.

A slide shows a figure, a statement, a proof step by step, formulas, code with what it prints, a
table, a list, a question or a figure that computes. The paragraphs around it are what the speaker
says: each of them goes, whole, to the notes of one slide.
"""

import copy
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

from genlab.course.release.blocks import (
    blocks,
    choice,
    kind_of,
    lines,
    parts,
    point,
    prepare,
    steps,
)
from genlab.course.release.prose import LINE, caption, named, opening, plain, said, sentences, words

CODE = 18  # lines; longer code is not read from a wall and goes to the notes
TOGETHER = 20  # lines of code with what it prints
PRINTED = 2  # lines that are printed under a figure; more of them have their own slide
ROWS, ITEMS = 9, 6  # of a table and of a list, on one slide
BRIEF, LONG = 95, 130  # words of a statement with its proof; of a proof on a slide of its own


@dataclass
class Slide:
    """What is shown under which heading, and what is said; all of it is HTML."""

    kind: str
    head: str
    shown: list[str]
    notes: list[str]


def deck(page: BeautifulSoup) -> list[list[Slide]]:
    """The slides of a built chapter: a stack for its title and one for each section."""
    chapter = copy.copy(page.select_one("article section"))
    prepare(chapter)
    sections = [section.extract() for section in chapter.find_all("section", recursive=False)]
    return [_Stack(section).slides for section in (chapter, *sections)]


class _Stack:
    """The slides of a section. Each block adds to them in the method that is named as its kind."""

    def __init__(self, section: Tag):
        self.slides: list[Slide] = []
        self.head = self.part = ""
        self.keys: list[str] = []  # sentences that stand on the next slide
        self.held: list[str] = []  # what is said with it
        found = list(blocks(section))
        self.alone = len(found) == 2
        around = [None, *found, None]
        for self.before, block, self.after in zip(around, around[1:], around[2:], strict=False):
            if block is not None:
                getattr(self, kind_of(block))(block)
        self.rest()

    @property
    def last(self) -> Slide:
        return self.slides[-1]

    def add(self, kind: str, *shown: str) -> None:
        """Begin a slide, with the sentence that was kept for it; several have one of their own."""
        if kind != "text" and len(self.keys) > 1:
            self.add("text")
        head = f"{self.head} · {self.part}" if self.part else self.head
        self.slides.append(Slide(kind, head, [*_paragraphs(*self.keys), *shown], self.held))
        self.keys, self.held = [], []

    def rest(self) -> None:
        """Keep nothing for a later slide."""
        if self.keys:
            self.add("text")
        elif self.held:
            self.last.notes += self.held
            self.held = []

    def lead(self, *ends: str) -> list[str]:
        """The sentence that leads to a block, if there is room for it and it ends so."""
        if self.keys or kind_of(self.before) != "paragraph":
            return []
        text = sentences(self.before)[-1]
        fits = words(text) <= LINE and plain(text).endswith(ends or "")
        return _paragraphs(text) if fits else []

    def caption(self, alt: str = "") -> list[str]:
        text = caption(self.after if kind_of(self.after) == "paragraph" else None, alt)
        return [f'<p class="caption">{text}</p>'] if text else []

    def heading(self, block: Tag) -> None:
        self.rest()
        title, kind = block.decode_contents(), {"h1": "title", "h2": "section"}.get(block.name)
        self.head, self.part = (title, "") if kind else (self.head, title)
        self.add(kind or "part", *map(str, block.find_previous_siblings("span")), str(block))
        if kind != "title" and kind_of(self.after) == "paragraph":
            text = self.after.decode_contents() if self.alone else opening(self.after)
            self.last.shown += _paragraphs(text) if text else []

    def paragraph(self, block: Tag) -> None:
        texts, shown = sentences(block), "".join(self.last.shown)
        if self.last.kind == "title":
            if kind_of(self.before) == "heading":
                self.last.shown.append(str(block))  # You will be able to …
                return
            texts = []
        if kind_of(self.before) == "formula" and plain(texts[0])[:1].islower():
            self.last.shown += _paragraphs(texts.pop(0))  # where …
        if kind_of(self.after) != "live":
            self.keys += [text for text in named(texts) if text not in shown]
        if self.keys or kind_of(self.after) in ("formula", "live"):
            self.held.append(said(block))
        else:
            self.last.notes.append(said(block))

    def formula(self, block: Tag) -> None:
        if self.keys or self.last.kind != "text" or len(self.last.shown) > 3:
            self.add("text")
        if kind_of(self.before) == "paragraph":
            text = sentences(self.before)[-1]
            self.last.shown += [] if text in "".join(self.last.shown) else _paragraphs(text)
        self.last.shown.append(str(block))
        self.rest()

    def claim(self, block: Tag) -> None:
        lead, checked = self.lead("?", ":"), block.select(".checked-by")
        notes = [said(part.extract()) for part in checked]
        self.add("claim", *lead, str(block))
        self.last.notes += notes

    def proof(self, block: Tag) -> None:
        claim = self.before if kind_of(self.before) == "claim" else None
        if words(block) > LONG:
            self.last.shown.append('<p class="remark">The proof is in the notes.</p>')
            self.last.notes.append(said(block))
            return
        if claim is None or words(claim, block) > BRIEF:
            name = f" of {claim.select_one('.admonition-title').decode_contents()}" if claim else ""
            self.add("steps", f"<h3>Proof{name}</h3>")
        self.last.shown += [f'<div class="step fragment">{step}</div>' for step in steps(block)]

    def cell(self, block: Tag) -> None:
        source = None if block.details else block.select_one(":not(.output) > .highlight")
        outputs = block.select(".cell_output > *")
        figures = [output for output in outputs if output.name == "img"]
        printed = [str(output) for output in outputs if output.name != "img"]
        lead = self.lead()
        if source and lines(source) <= CODE and self.last.kind != "title":
            self.add("code", *lead, str(source))
            if lines(source, *printed) <= TOGETHER:
                self.last.shown += [f'<div class="fragment">{text}</div>' for text in printed]
                lead, printed = [], []
        elif source:
            self.last.notes.append(str(source))
        if lines(*printed) > (PRINTED if figures else 0):
            self.add("code", *lead, *printed, *([] if figures else self.caption()))
            lead, printed = [], []
        for figure in figures:
            self.add("figure", *lead, str(figure), *printed, *self.caption(figure["alt"]))

    def table(self, block: Tag) -> None:
        table = block if block.name == "table" else block.table
        lead = [] if table.caption else self.lead()
        for rows in parts(table.tbody.find_all("tr", recursive=False), ROWS):
            part = copy.copy(table)
            part.tbody.clear()
            part.tbody.extend(copy.copy(row) for row in rows)
            self.add("table", *lead, str(part))
            table.attrs.pop("id", None)

    def items(self, block: Tag) -> None:
        if self.last.kind == "title" and kind_of(self.before) == "paragraph":
            self.last.shown.append(str(block))  # what you will be able to do
            return
        found, name = block.find_all("li", recursive=False), block.name
        if any(words(item) > LINE for item in found):
            self.held.append(said(block))
        lead, number = self.lead(":"), int(block.get("start", 1))
        for part in parts(found, ITEMS):
            start = f' start="{number}"' if name == "ol" else ""
            shown = f"<{name}{start}>{''.join(map(point, part))}</{name}>"
            if self.last.shown[-1].startswith("<h2") and not self.keys:
                self.last.shown += [*lead, shown]
                self.rest()
            else:
                self.add("list", *lead, shown)
            number += len(part)

    def live(self, block: Tag) -> None:
        texts = sentences(self.before) if kind_of(self.before) == "paragraph" else []
        lead = " ".join(named(texts) or texts[-1:])
        self.add("live", *_paragraphs(*[lead] if lead else []), str(block))

    def question(self, block: Tag) -> None:
        asked = block.select_one(".question-text, .admonition-title").extract()
        self.add("question", f'<p class="asked">{asked.decode_contents()}</p>')
        self.last.shown += [str(hint.extract()) for hint in block.select(".question-hint")]
        if choices := block.select(".choice"):
            self.last.shown.append(f'<ol type="a">{"".join(map(choice, choices))}</ol>')
        else:
            answer = block.details.div if block.details else block
            self.last.shown.append(f'<div class="fragment answer">{answer.decode_contents()}</div>')

    def other(self, block: Tag) -> None:
        self.rest()
        self.add("text", *self.lead(), str(block))


def _paragraphs(*texts: str) -> list[str]:
    return [f"<p>{text}</p>" for text in texts]
