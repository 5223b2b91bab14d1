"""What the plan leaves out is taken out of a copy of the course: files, rows, cards and links."""

import re
import tomllib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

from genlab.course import notebooks
from genlab.course.exercises import Exercise, parts
from genlab.course.release.links import Gone, gone, led, unlinked
from genlab.course.release.plan import Plan, pages
from genlab.course.release.trim import objectives, times, trim

_CARD = re.compile(
    r"^(?P<fence>:{3,})\{grid-item-card\} [^\n]*\]\((?P<target>[^()\s]+)\)[ \t]*\n"
    r"(?s:.*?)^(?P=fence)[ \t]*\n\n?",
    re.MULTILINE,
)
# What an entry of the contents leads to; one that leads nowhere any more goes too.
_LEADS = {"file", "glob", "url", "chapters", "sections"}


def select(root: Path, plan: Plan) -> None:
    """Change a copy of the course in place, so that it holds what the plan chose and no more.

    The package stays whole, since later chapters import earlier ones.

    Raises:
        CourseError: a notebook is not what its source gives (nothing is changed), or does not
            begin as it should.
    """
    notebooks.check(root)
    chosen = plan.chapters.values()
    out = [name for name in pages(root) if name not in plan.chapters]
    unexercised = [chapter.name for chapter in chosen if not chapter.points]
    left_out = gone(root, out, unexercised)
    minutes, numbers = {}, {}
    for chapter in chosen:
        there = _exercises(root, chapter.name)
        numbers[chapter.name] = [e.number for e in there if e.number not in chapter.points]
        if numbers[chapter.name]:
            kept = sum(e.minutes for e in there if e.number in chapter.points)
            minutes[f"exercises/{chapter.name}"] = kept

    def prose(text: str, folder: str) -> str:
        return unlinked(times(text, folder, minutes), folder, left_out)

    for file in _files(root, out, unexercised):
        file.unlink(missing_ok=True)
    _prune(root / "_toc.yml", left_out.pages)
    for rows in ("curriculum", "errata"):
        _drop_rows(root / "book" / f"{rows}.toml", {name[3:] for name in out})
    for chapter in chosen:
        if chapter.points:
            trim(root, chapter, lambda text: prose(text, "exercises"))
    for name in parse_toc_yaml(root / "_toc.yml"):
        page = root / f"{name}.md"
        if page.is_file():
            old = page.read_text(encoding="utf8")
            folder = page.relative_to(root).parent.as_posix()
            new = objectives(_without_cards(old, folder, left_out), numbers.get(page.stem, ()))
            page.write_text(prose(new, folder), encoding="utf8")


def _exercises(root: Path, name: str) -> list[Exercise]:
    source = root / "solutions" / f"{name}.py"
    return parts(notebooks.read(source), source.name)[1] if source.is_file() else []


def _files(root: Path, out: Iterable[str], unexercised: Iterable[str]) -> Iterator[Path]:
    """What belongs to a chapter that is left out, or to exercises that are."""
    for name in out:
        yield root / "book" / f"{name}.md"
        yield root / "book" / "api" / f"{name[3:]}.md"
        yield root / "benchmarks" / "results" / f"{name[3:]}.json"
        yield from (root / "book" / "_static" / "pictures").glob(f"{name}-*.png")
    for name in (*out, *unexercised):
        yield root / "exercises" / f"{name}.ipynb"
        yield root / "solutions" / f"{name}.py"
        yield root / "solutions" / f"{name}.ipynb"


def _prune(contents: Path, left_out: Container[str]) -> None:
    """Take pages out of ``_toc.yml``."""

    def pruned(node: object) -> object:
        if isinstance(node, list):
            kept = [pruned(e) for e in node if e.get("file") not in left_out]
            return [entry for entry in kept if _LEADS & set(entry)]
        if isinstance(node, dict):
            return {key: new for key, old in node.items() if (new := pruned(old)) != []}
        return node

    tree = yaml.safe_load(contents.read_text(encoding="utf8"))
    if (new := pruned(tree)) != tree:
        text = yaml.safe_dump(new, sort_keys=False, allow_unicode=True)
        contents.write_text(text, encoding="utf8")


def _drop_rows(file: Path, chapters: Container[str]) -> None:
    """Take the rows of chapters out of a TOML file of tables, as they are written there."""
    text = file.read_text(encoding="utf8")
    rows = tomllib.loads(text)
    blocks = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    names = [block[1:].partition("]")[0] for block in blocks]
    kept = (
        block
        for name, block in zip(names, blocks, strict=True)
        if rows.get(name, {}).get("chapter") not in chapters
    )
    file.write_text("".join(kept), encoding="utf8")


def _without_cards(text: str, folder: str, left_out: Gone) -> str:
    """A page without the cards of pages that are left out."""
    return _CARD.sub(
        lambda card: "" if led(card["target"], folder) in left_out.pages else card[0], text
    )
