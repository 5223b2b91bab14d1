"""Parts of a generated page, as docutils nodes: nothing in a text is taken for markup."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

Part = str | nodes.Node
Cell = Part | Sequence[Part]

# A tick is a picture; a screen reader is given the word.
YES = '<span aria-hidden="true">✓</span><span class="visually-hidden">yes</span>'
NO = '<span class="visually-hidden">no</span>'


def paragraph(*parts: Part, classes: Sequence[str] = ()) -> nodes.paragraph:
    """Texts and inline nodes as one paragraph."""
    texts = [nodes.Text(part) if isinstance(part, str) else part for part in parts]
    return nodes.paragraph("", "", *texts, classes=list(classes))


def section(title: str, *content: nodes.Node, name: str = "") -> nodes.section:
    """A section; its address is made from ``name``, or from the title."""
    heading = nodes.title("", title)
    return nodes.section("", heading, *content, ids=[nodes.make_id(name or title)])


def bullets(items: Iterable[Sequence[Part]]) -> nodes.bullet_list:
    """A list of paragraphs."""
    return nodes.bullet_list("", *(item(*parts) for parts in items))


def item(*parts: Part, inner: Sequence[nodes.list_item] = ()) -> nodes.list_item:
    """One item of a list, with a list under it where it has inner items."""
    below = [nodes.bullet_list("", *inner)] if inner else []
    return nodes.list_item("", paragraph(*parts), *below)


def entry(name: str, said: dict[str, Cell]) -> nodes.definition_list_item:
    """A row that is too long for a table: its name, which is its address, and what is said of it.

    On a narrow screen everything stands one under the other.
    """
    fields = [
        nodes.field("", nodes.field_name("", key), nodes.field_body("", *_blocks(value)))
        for key, value in said.items()
    ]
    term = nodes.term("", name, ids=[nodes.make_id(name)])
    return nodes.definition_list_item("", term, nodes.definition("", nodes.field_list("", *fields)))


def table(head: Sequence[Part], rows: Iterable[Sequence[Cell]]) -> nodes.table:
    """A table with a head; a cell is a text, a node, or several paragraphs."""
    columns = [nodes.colspec(colwidth=1) for _ in head]
    body = nodes.tbody("", *(_row(row) for row in rows))
    group = nodes.tgroup("", *columns, nodes.thead("", _row(head)), body, cols=len(head))
    return nodes.table("", group)


def mark(yes: bool) -> nodes.raw:
    """A tick, or nothing to see; both with a word for a screen reader."""
    return nodes.raw("", YES if yes else NO, format="html")


def proofs(names: Sequence[str]) -> list[nodes.paragraph]:
    """Names of tests in the look of those under a theorem."""
    return [paragraph(nodes.literal(text=name), classes=["checked-by"]) for name in names]


def listed(parts: Iterable[nodes.Node]) -> list[Part]:
    """Inline nodes with commas between them."""
    return [part for node in parts for part in (", ", node)][1:]


def chapter_title(root: Path, slug: str) -> str:
    """The first heading of a chapter's page."""
    lines = page(root, slug).read_text(encoding="utf8").splitlines()
    return next(line[2:].strip() for line in lines if line.startswith("# "))


def chapter_link(root: Path, slug: str) -> pending_xref:
    """A link to a chapter, with its title."""
    return page_link(f"/book/{page(root, slug).stem}", chapter_title(root, slug))


def page_link(page: str, text: str) -> pending_xref:
    """A link to a page, named from the root of the course and without its ending."""
    shown = nodes.inline("", text)
    return pending_xref(
        "", shown, refdomain="std", reftype="doc", reftarget=page, refexplicit=True, refwarn=True
    )


def api_link(name: str) -> pending_xref:
    """A link to an entry of the reference, ``genlab.density.KDE``, with the entry's short name."""
    text = nodes.inline("", name.rpartition(".")[2])
    return pending_xref("", text, refdomain="py", reftype="obj", reftarget=name)


def page(root: Path, slug: str) -> Path:
    page = next((root / "book").glob(f"[0-9][0-9]_{slug}.md"), None)
    if page is None:
        raise ValueError(f"Expected a page book/NN_{slug}.md for the chapter {slug!r}, found none.")
    return page


def _row(cells: Iterable[Cell]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", *_blocks(cell)) for cell in cells))


def _blocks(cell: Cell) -> list[nodes.Node]:
    """The paragraphs of a cell; inline nodes and texts become one each."""
    parts = [cell] if isinstance(cell, (str, nodes.Node)) else cell
    return [part if isinstance(part, nodes.paragraph) else paragraph(part) for part in parts]
