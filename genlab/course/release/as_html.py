r"""Markdown of the book as HTML that stands by itself: Moodle and Canvas have no other page of it.

Mathematics becomes ``\(…\)`` and ``\[…\]`` with the site's macros spelled out; references and
links to other pages become words.
"""

import re
from collections.abc import Callable
from pathlib import Path

import yaml
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import parse_file

from genlab.course.root import CourseError

Convert = Callable[[str], str]

_CLAIM = re.compile(r"\{prf:(\w+)\} *(.*)\n:label: (\S+)")


def converter(root: Path) -> Convert:
    """A function that turns Markdown of the course into HTML.

    It raises :class:`CourseError` at a role that it has no words for.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    extensions = set(config["parse"]["myst_enable_extensions"])
    macros = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    markdown = create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)

    def math(left: str, right: str) -> Callable:
        def rule(renderer, tokens, i, options, env):
            return f"{left}{escapeHtml(spelled_out(tokens[i].content, macros))}{right}"

        return rule

    def role(renderer, tokens, i, options, env):
        return escapeHtml(_words(root, tokens[i].meta["name"], tokens[i].content))

    def link(renderer, tokens, i, options, env):
        if tokens[i].nesting == 1:  # links do not nest
            env["elsewhere"] = "://" in tokens[i].attrs["href"]
        return renderer.renderToken(tokens, i, options, env) if env["elsewhere"] else ""

    def image(renderer, tokens, i, options, env):
        return escapeHtml(tokens[i].content)

    for name, rule in {
        "math_inline": math(r"\(", r"\)"),
        "math_block": math(r"\[", "\\]\n"),
        "math_block_label": math(r"\[", "\\]\n"),
        "amsmath": math("", "\n"),
        "myst_role": role,
        "link_open": link,
        "link_close": link,
        "image": image,
    }.items():
        markdown.add_render_rule(name, rule)
    return lambda text: markdown.render(text).strip()


def spelled_out(tex: str, macros: dict[str, str]) -> str:
    """TeX without the site's macros and colours."""
    for name, meaning in macros.items():
        tex = re.sub(rf"\\{name}(?![a-zA-Z])", lambda _, tex=meaning: tex, tex)
    return re.sub(r"\\class\{[\w-]+\}", "", tex)


def _words(root: Path, role: str, content: str) -> str:
    titled = re.fullmatch(r"(.+?)\s*<.+>", content, re.DOTALL)
    match role:
        case "prf:ref" | "eq" | "ref" | "doc" if titled:
            return titled[1]
        case "prf:ref":
            return _claim(root, content)
        case "eq":
            return "an equation of the chapter"
        case "cite" | "cite:p":
            return f"({'; '.join(_source(root, key) for key in content.split(','))})"
        case "cite:t":
            return ", ".join(_source(root, key) for key in content.split(","))
    raise CourseError(
        f"the role {{{role}}} means nothing outside of the book. Write words instead."
    )


def _claim(root: Path, label: str) -> str:
    """A theorem by its name."""
    for page in sorted((root / "book").glob("*.md")):
        for kind, title, found in _CLAIM.findall(page.read_text(encoding="utf8")):
            if found == label:
                return f"the {kind} “{title}”" if title else f"a {kind} of the chapter"
    raise CourseError(f"no page of the book has the label {label!r}.")


def _source(root: Path, key: str) -> str:
    """A source by its authors and year."""
    entry = parse_file(root / "book" / "references.bib").entries[key.strip()]
    names = [" ".join(map(str, person.rich_last_names)) for person in entry.persons["author"]]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} and others"
    return f"{who} {entry.fields['year']}"
