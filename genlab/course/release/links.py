"""What becomes of a link to a page that is left out: the words that it stood for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath

from genlab.course.layout import chapter_title

REFERENCES = {"prf:ref", "ref", "numref", "eq", "math:numref", "any"}
# What stands at a label that has no title of its own.
KINDS = {
    "math": "an equation",
    "figure": "a figure",
    "explorable": "a figure",
    "table": "a table",
    "list-table": "a table",
}

_DIRECTIVE = re.compile(
    r"^[ \t]*(?:`{3,}|:{3,})\{(?P<kind>[\w:-]+)\}[ \t]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?:[ \t]*:[\w-]+:[^\n]*\n)*)",
    re.MULTILINE,
)
_LABEL = re.compile(r":(?:label|name):[ \t]*(\S+)")
_EQUATION = re.compile(r"\$\$[ \t]*\(([\w:.-]+)\)")
_TARGET = re.compile(
    r"^\((?P<label>[^()\n]+)\)=\n+(?:#+ (?P<title>[^\n]+)|[`:]{3,}\{(?P<kind>[\w-]+)\})?",
    re.MULTILINE,
)
# Code is found so that nothing in it is taken for a link. A fence that names no language is left
# alone: it may as well be the end of a directive.
_MARKUP = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?:\w|\{code-cell\})[^\n]*\n(?s:.*?)^(?P=fence)[ \t]*$"
    r"|\{(?P<role>[\w:+-]+)\}`(?P<text>[^`]+)`"
    r"|(?<!`)(?P<ticks>`{1,2})(?!`)(?:(?!\n\n)(?s:.))+?(?<!`)(?P=ticks)(?!`)"
    r"|(?<!!)\[(?P<words>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Gone:
    """What is left out, and what it is called: pages by their path, and labels of these pages."""

    pages: dict[str, str]
    labels: dict[str, str]


def gone(root: Path, chapters: Iterable[str], unexercised: Iterable[str]) -> Gone:
    """The pages of chapters that are left out, and the exercises of chapters without them."""
    pages = {f"exercises/{name}": "the exercises" for name in unexercised}
    labels: dict[str, str] = {}
    for name in chapters:
        title = f"*{chapter_title(root, name[3:])}*"
        pages[f"book/{name}"] = title
        pages[f"exercises/{name}"] = f"the exercises of {title}"
        pages[f"book/api/{name[3:]}"] = f"`genlab.{name[3:]}`"
        labels |= called((root / "book" / f"{name}.md").read_text(encoding="utf8"), title)
    return Gone(pages, labels)


def called(page: str, title: str) -> dict[str, str]:
    """The labels of a page in words: its own title, or what stands there and on which page.

    Example:
        >>> called("(sec-kde)=\\n## Kernels\\n\\n$$x = 1$$ (eq-x)\\n", "*Density*")
        {'eq-x': 'an equation of *Density*', 'sec-kde': '*Kernels*'}
    """
    found = {label: f"an equation of {title}" for label in _EQUATION.findall(page)}
    for target in _TARGET.finditer(page):
        what = KINDS.get(target["kind"], "a part")
        found[target["label"]] = f"*{target['title']}*" if target["title"] else f"{what} of {title}"
    for directive in _DIRECTIVE.finditer(page):
        if label := _LABEL.search(directive["options"]):
            family, _, kind = directive["kind"].rpartition(":")
            what = KINDS.get(kind, "a part")
            if family == "prf":
                what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
            named = family == "prf" and directive["title"]
            found[label[1]] = f"*{directive['title']}*" if named else f"{what} of {title}"
    return found


def unlinked(text: str, folder: str, left_out: Gone) -> str:
    """Markdown of a page in ``folder`` without links to what is left out.

    A link or a reference with words of its own becomes these words; any other becomes what it led
    to. Code stays as it is.
    """

    def plain(found: re.Match) -> str:
        words, name = found["words"], None
        if target := found["target"]:
            path, _, label = target.partition("#")
            name = left_out.pages.get(led(path, folder)) if path else left_out.labels.get(label)
        elif role := found["role"]:
            words, target = _split(found["text"])
            if role == "doc":
                name = left_out.pages.get(led(target, folder))
            elif role in REFERENCES:
                name = left_out.labels.get(target)
        return (words or name) if name else found[0]

    return _MARKUP.sub(plain, text)


def led(path: str, folder: str) -> str:
    """The page to which a path leads from ``folder``, named from the root, without its ending.

    Example:
        >>> led("../exercises/01_density.ipynb", "book"), led("/book/notation", "exercises")
        ('exercises/01_density', 'book/notation')
    """
    page = path[1:] if path.startswith("/") else normpath(join(folder, path))
    return re.sub(r"\.(md|ipynb)$", "", page)


def _split(text: str) -> tuple[str, str]:
    """Words and target of a role: ``words <target>``, or the target alone."""
    explicit = re.fullmatch(r"(?s)(.+?)\s*<([^<>]+)>", text)
    if explicit is None:
        return "", text.strip()
    words = "" if re.search(r"%s|\{n", explicit[1]) else explicit[1]  # a number would stand there
    return words, explicit[2].strip()
