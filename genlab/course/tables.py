"""Pages of the book that are made while it is built, so that they cannot drift from the code.

A page holds a little prose and a directive of :data:`PAGES`; the content is made here and in
:mod:`measured`, :mod:`reference` and :mod:`schedule`. A page is read again when one of the files
that it is made from is changed, added or removed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from genlab import models
from genlab.course import layout, measured, reference, registry, schedule
from genlab.course.root import CourseError

logger = logging.getLogger(__name__)

CHAPTERS = "book/[0-9][0-9]_*.md"
PROTOCOLS = (models.Sampler, models.Density, models.LowerBound, models.Unnormalized)


def errata(root: Path) -> list[nodes.Node]:
    """Where the lectures slip: for each chapter what is printed, what is right, and the proof."""
    tests = registry.marks(root, "covers")
    return [
        layout.section(
            layout.chapter_title(root, chapter),
            layout.paragraph(
                f"{_count(len(rows), 'place', 'places')}, taught right in ",
                layout.chapter_link(root, chapter),
                ".",
            ),
            nodes.definition_list("", *(_slip(name, row, tests) for name, row in rows.items())),
            name=f"errata {chapter}",
        )
        for chapter, rows in _by_chapter(root, registry.slips(root)).items()
    ]


def coverage(root: Path) -> list[nodes.Node]:
    """What the lectures teach, where it is taught, and which tests show it."""
    tests, taught = registry.marks(root, "covers"), registry.taught(root)
    chapters = _by_chapter(root, taught)
    shown = {test for name in taught for test in tests.get(name, [])}
    content: list[nodes.Node] = [
        layout.paragraph(
            f"{_count(len(taught), 'row', 'rows')} in "
            f"{_count(len(chapters), 'chapter', 'chapters')}, shown by "
            f"{_count(len(shown), 'test', 'tests')}."
        )
    ]
    return content + [
        layout.section(
            layout.chapter_title(root, chapter),
            layout.paragraph(
                f"{_count(len(rows), 'row', 'rows')}, taught in ",
                layout.chapter_link(root, chapter),
                ".",
            ),
            nodes.definition_list("", *(_taught(name, row, tests) for name, row in rows.items())),
            name=f"coverage {chapter}",
        )
        for chapter, rows in chapters.items()
    ]


def catalogue(root: Path) -> list[nodes.Node]:
    """Every catalogued model with the protocols that it satisfies."""
    words = [layout.api_link(f"genlab.models.{p.__name__}") for p in PROTOCOLS]
    head = ["Model, source, chapter", *words]
    rows, content = [], []
    for name, entry in _catalogued(root).items():
        can = models.capabilities(entry.cls)
        link = layout.api_link(f"genlab.{entry.chapter}.{name}")
        marks = [layout.mark(p.__name__ in can) for p in PROTOCOLS]
        rows.append([[link, entry.source, layout.chapter_link(root, entry.chapter)], *marks])
        if not can:
            methods = [key for key in vars(entry.cls) if not key.startswith("_")]
            content.append(
                layout.paragraph(
                    nodes.literal(text=name),
                    " has none of the four: ",
                    reference.first_sentence(entry.cls),
                    " Its methods: ",
                    *layout.listed(nodes.literal(text=key) for key in methods),
                    ".",
                )
            )
    return [layout.table(head, rows), *content]


def taxonomy(root: Path) -> list[nodes.Node]:
    """The tree of the models: each at its one leaf, which is told by what it can do."""
    standing: dict[str, dict[str, list[str]]] = {leaf: {} for leaf, _ in models.PLACES}
    for name, entry in _catalogued(root).items():
        standing[models.place(entry.cls)].setdefault(entry.chapter, []).append(name)
    branches = []
    for branch, leaves in groupby(models.PLACES, lambda leaf: leaf[0].partition(", ")[0]):
        items = [_leaf(root, name, can, standing[name]) for name, can in leaves]
        grown = [layout.item(nodes.strong(text=branch), inner=items)]
        branches += items if len(items) == 1 else grown
    trunk = layout.item("The models of this course", inner=branches)
    return [nodes.bullet_list("", trunk, classes=["taxonomy"])]


def modules(root: Path) -> list[nodes.Node]:
    """The modules of the reference: for each a sentence and its public names."""
    rows = []
    for page in sorted((root / "book" / "api").glob("*.md")):
        name = f"genlab.{page.stem}"
        links = [layout.api_link(f"{name}.{public}") for public in reference.public(name)]
        link = layout.page_link(f"/book/api/{page.stem}", name)
        said = reference.first_sentence(import_module(name))
        rows.append((link, [layout.paragraph(said), layout.paragraph(*layout.listed(links))]))
    return [layout.table(("Module", "What it holds"), rows)]


def stamp(root: Path, sources: tuple[str, ...]) -> str:
    """Hash of the names and contents of the files that the patterns match."""
    digest = hashlib.sha256()
    for file in sorted({file for pattern in sources for file in root.glob(pattern)}):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


class Generated(SphinxDirective):
    """A directive whose content is made from files of the course; see :data:`PAGES`."""

    def run(self) -> list[nodes.Node]:
        write, sources = PAGES[self.name]
        root = Path(self.env.app.confdir)
        _remember(self.env, root, sources)
        try:
            return write(root)
        except CourseError as error:
            raise self.error(str(error)) from error


class Api(Generated):
    """The reference of one module, ``{api} genlab.density``; without an argument, the modules."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        if not self.arguments:
            return super().run()
        module = self.arguments[0]
        path = module.replace(".", "/")
        _remember(self.env, Path(self.env.app.confdir), (f"{path}.py", f"{path}/**/*.py"))
        lines = ["```{eval-rst}", *reference.source(module).splitlines(), "```"]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=module), 0, container)
        return container.children


PAGES: dict[str, tuple[Callable[[Path], list[nodes.Node]], tuple[str, ...]]] = {
    "errata": (errata, ("book/errata.toml", "tests/test_*.py", CHAPTERS)),
    "coverage": (coverage, ("book/curriculum.toml", "tests/test_*.py", CHAPTERS)),
    "catalogue": (catalogue, ("genlab/**/*.py", CHAPTERS)),
    "taxonomy": (taxonomy, ("genlab/**/*.py", CHAPTERS)),
    "measured": (measured.measured, ("benchmarks/results/*.json",)),
    "api": (modules, ("genlab/**/*.py",)),
    "schedule": (
        schedule.schedule,
        ("course.toml", "solutions/*.py", "genlab/course/release/plan.py", CHAPTERS),
    ),
}


def connect(app: Sphinx) -> None:
    """Register the directives, and have a page read again when one of its sources changed."""
    for name in PAGES:
        app.add_directive(name, Api if name == "api" else Generated)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _forget)
    reference.connect(app)


def _remember(env: BuildEnvironment, root: Path, sources: tuple[str, ...]) -> None:
    sources = (*sources, "genlab/course/*.py")  # what makes the content
    _sources(env)[env.docname] = (sources, stamp(root, sources))


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _sources(env).pop(docname, None)


def _outdated(app: Sphinx, env: BuildEnvironment, added, changed, removed) -> list[str]:
    root = Path(app.confdir)
    return [
        docname
        for docname, (sources, seen) in _sources(env).items()
        if docname in env.found_docs and stamp(root, sources) != seen
    ]


def _sources(env: BuildEnvironment) -> dict[str, tuple[tuple[str, ...], str]]:
    if not hasattr(env, "genlab_sources"):
        env.genlab_sources = {}
    return env.genlab_sources


def _catalogued(root: Path) -> dict[str, models.Entry]:
    """The catalogue, filled by the modules of all chapters that have a page."""
    chapters = [page.stem[3:] for page in sorted(root.glob(CHAPTERS))]
    for chapter in chapters:
        import_module(f"genlab.{chapter}")
    return {name: entry for name, entry in models.CATALOGUE.items() if entry.chapter in chapters}


def _leaf(root: Path, name: str, can: str, chapters: dict[str, list[str]]) -> nodes.list_item:
    """A leaf of the taxonomy: what its models can do, and their names, chapter by chapter."""
    said = f": {can}" if chapters else f": {can} (none so far)"
    grown = [
        layout.item(
            *layout.listed(layout.api_link(f"genlab.{chapter}.{model}") for model in names),
            " in ",
            layout.chapter_link(root, chapter),
        )
        for chapter, names in chapters.items()
    ]
    return layout.item(nodes.strong(text=name.rpartition(", ")[2]), said, inner=grown)


def _by_chapter(root: Path, rows: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """The rows of each chapter that has some, in the order of the chapters."""
    chapters = defaultdict(dict)
    for name, row in rows.items():
        chapters[row["chapter"]][name] = row
    return {slug: chapters[slug] for slug in sorted(chapters, key=lambda s: layout.page(root, s))}


def _slip(name: str, row: dict, tests: dict[str, list[str]]) -> nodes.definition_list_item:
    said = {"Printed": row["printed"], "Right": row["right"], "Shown": row["shown"]}
    return layout.entry(name, said | {"Tests": _tests(name, tests)})


def _taught(name: str, row: dict, tests: dict[str, list[str]]) -> nodes.definition_list_item:
    source = {} if row["source"] == "—" else {"Source": row["source"]}
    return layout.entry(name, {"Taught": row["teaches"], **source, "Tests": _tests(name, tests)})


def _tests(name: str, tests: dict[str, list[str]]) -> list[nodes.paragraph]:
    if name not in tests:
        logger.warning("no test covers the row %r", name)
    return layout.proofs(tests.get(name, []))


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
