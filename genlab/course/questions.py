"""How a question of the book is written, and the reader of its source.

::

    :::{question} What is $2 + 2$?
    :name: sums-four
    - [ ] 22

      That is the digits side by side.
    - [x] 4

      Two pairs.
    :::

A list makes a question of choices, each with its own reason. ``:answer: 4``, perhaps with
``:tolerance: 0.5``, makes one of a number, explained by the text. With neither the question is
open, and the text is an answer to compare with. :mod:`quiz` shows it on the page; the release
writes it for Moodle and Canvas.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from docutils.parsers.rst import Directive
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.directives import MarkupError, parse_directive_text
from myst_parser.parsers.mdit import create_md_parser

from genlab.course.root import CourseError

_CHOICE = re.compile(r"^- \[([ x])\] ", re.MULTILINE)
_FENCE = re.compile(r"\{question\} *(.*)")


@dataclass(frozen=True)
class Choice:
    """One answer to choose, in Markdown, and why it is right or wrong."""

    text: str
    reason: str
    right: bool


@dataclass(frozen=True)
class Question:
    """A question in Markdown: of choices, of a number (``answer``), or open (neither)."""

    name: str
    text: str
    reason: str = ""
    choices: tuple[Choice, ...] = ()
    answer: Decimal | None = None
    tolerance: Decimal = Decimal(0)

    @property
    def several(self) -> bool:
        """More than one choice is right."""
        return sum(choice.right for choice in self.choices) > 1


def read(page: Path) -> list[Question]:
    """The questions of a page, in their order.

    Raises:
        CourseError: a question is not well-formed, or two have the same name; with its place.
    """
    found: dict[str, Question] = {}
    markdown = create_md_parser(MdParserConfig(enable_extensions={"colon_fence"}), RendererHTML)
    for token in markdown.parse(page.read_text(encoding="utf8")):
        if not (fence := _FENCE.fullmatch(token.info.strip())):
            continue
        place = f"{page.name}, line {token.map[0] + 1}"
        try:
            said = parse_directive_text(Syntax, fence[1], token.content)
            if said.warnings:
                raise CourseError("; ".join(warning.msg for warning in said.warnings))
            question = parse(said.arguments[0], said.options, "\n".join(said.body))
        except (CourseError, MarkupError) as fault:
            raise CourseError(f"{place}: {fault}") from fault
        if question.name in found:
            raise CourseError(f"{place}: a second question is called {question.name!r}.")
        found[question.name] = question
    return list(found.values())


def parse(text: str, options: Mapping, body: str) -> Question:
    """The question that a directive's argument, options and body say.

    Raises:
        CourseError: something is missing, or contradicts something else.
    """
    before, *parts = _CHOICE.split(body)
    marks, texts = parts[::2], parts[1::2]
    choices = tuple(_choice(part, mark == "x") for mark, part in zip(marks, texts, strict=True))
    name, answer, tolerance = (options.get(key) for key in ("name", "answer", "tolerance"))
    bare = [choice.text for choice in choices if not choice.reason]
    for wrong, what in (
        (not name, "it has no name. Write `:name: density-flat` under it"),
        (not choices and not before.strip(), "it has no answer. Write one that explains"),
        (
            choices and before.strip(),
            "a text stands before its choices. Write it into the question",
        ),
        (choices and answer is not None, "it has choices and a number. Keep one of them"),
        (len(choices) == 1, "it has one choice only. Give three or four"),
        (choices and "x" not in marks, "no choice is right. Mark the right one with `- [x]`"),
        (bare, f"there is no reason under {''.join(bare[:1])!r}. Write one, two spaces in"),
        (
            any(re.search(r"\n\S", part) for part in texts),
            "a text under its choices belongs to none of them. Write it two spaces in",
        ),
        (
            answer is None and tolerance is not None,
            "it has a tolerance and no number. Write `:answer: 1.74` too",
        ),
    ):
        if wrong:
            raise CourseError(f"question {name or text!r}: {what}.")
    reason = "" if choices else before.strip()
    return Question(name, text, reason, choices, answer, tolerance or Decimal(0))


def _choice(part: str, right: bool) -> Choice:
    first, _, rest = part.partition("\n")
    text, _, reason = f"{first}\n{textwrap.dedent(rest)}".partition("\n\n")
    return Choice(text.strip(), reason.strip(), right)


def _name(text: str | None) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text or ""):
        raise ValueError(f"expected small letters with hyphens, such as density-flat, got {text!r}")
    return text


def _number(text: str | None) -> Decimal:
    try:
        number = Decimal(text or "")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ValueError(f"expected a number such as 1.74, got {text!r}")
    return number


class Syntax(Directive):
    """What docutils and MyST must know to read a question."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {  # noqa: RUF012 (docutils reads it from the class)
        "name": _name,
        "answer": _number,
        "tolerance": _number,
    }
