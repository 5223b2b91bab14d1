"""The pages that are made from the code say what the code says."""

import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup
from docutils import nodes

import genlab.density
from genlab import models
from genlab.course import layout, measured, reference, registry, tables

ROOT = Path(__file__).parents[1]
MODULES = ("density", "models", "laws", "data", "nets", "train", "plot", "interact")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")


@pytest.fixture
def small(tmp_path) -> Path:
    """A course with one chapter, two rows, a slip, and three tests."""
    write(tmp_path / "book" / "01_density.md", "---\nkernelspec: x\n---\n\n# Boxes\n\n# not this\n")
    row = '[{}]\nchapter = "density"\nteaches = "{}"\nsource = "{}"\n'
    rows = row.format("S9-1", "a | b", "Gauss 1809") + row.format("S9-2", "*c*", "—")
    write(tmp_path / "book" / "curriculum.toml", rows)
    slip = 'chapter = "density"\nprinted = "$2$"\nright = "3"\nshown = "1 + 2 = 3"\n'
    write(tmp_path / "book" / "errata.toml", f"[E900]\n{slip}")
    mark = "@pytest.mark.covers({})\ndef test_{}():\n    pass\n"
    marks = (('"S9-1"', "one"), ('"S9-2", "E900"', "both"), ('"E900"', "slip"))
    write(tmp_path / "tests" / "test_x.py", "".join(mark.format(*m) for m in marks))
    return tmp_path


def said(content: list[nodes.Node]) -> dict[str, dict[str, str]]:
    """Entries of a page: address, and the text under each name."""
    entries = [entry for node in content for entry in node.findall(nodes.definition_list_item)]
    return {
        entry[0]["ids"][0]: {
            field[0].astext(): field[1].astext().replace("\n\n", " ")
            for field in entry.findall(nodes.field)
        }
        for entry in entries
    }


def rows(content: list[nodes.Node]) -> list[list[str]]:
    """Cells of all tables of a page, as text; what is marked says yes or no."""
    return [
        [re.sub(r"<span aria-hidden.*?</span>|<[^>]*>", "", cell.astext()) for cell in row]
        for node in content
        for body in node.findall(nodes.tbody)
        for row in body
    ]


def links(content: list[nodes.Node]) -> set[str]:
    return {link["reftarget"] for node in content for link in node.findall(layout.pending_xref)}


# --- Errata and coverage -----------------------------------------------------------------------


def test_errata_of_a_small_course(small):
    content = tables.errata(small)
    assert said(content) == {
        "e900": {
            "Printed": "$2$",
            "Right": "3",
            "Shown": "1 + 2 = 3",
            "Tests": "test_x.py::test_both test_x.py::test_slip",
        }
    }
    assert content[0][0].astext() == "Boxes"
    assert content[0][1].astext() == "1 place, taught right in Boxes."
    assert links(content) == {"/book/01_density"}


def test_coverage_of_a_small_course(small):
    content = tables.coverage(small)
    assert said(content) == {
        "s9-1": {"Taught": "a | b", "Source": "Gauss 1809", "Tests": "test_x.py::test_one"},
        "s9-2": {"Taught": "*c*", "Tests": "test_x.py::test_both"},
    }
    assert content[0].astext() == "2 rows in 1 chapter, shown by 2 tests."
    assert links(content) == {"/book/01_density"}


def test_a_row_of_a_chapter_that_is_not_there_is_refused(small):
    (small / "book" / "01_density.md").unlink()
    with pytest.raises(ValueError, match=r"Expected a page book/NN_density\.md"):
        tables.errata(small)


def test_every_slip_is_told_with_its_number_and_its_tests(root):
    slips, tests = registry.slips(root), registry.marks(root, "covers")
    found = said(tables.errata(root))
    assert len(slips) >= 13
    assert sorted(found) == sorted(name.lower() for name in slips)
    chapters = [slips[name.upper()]["chapter"] for name in found]
    assert [c for c, _ in itertools.groupby(chapters)] == [
        page.stem[3:] for page in sorted((root / "book").glob("[0-9][0-9]_*.md"))
    ]
    for name, row in slips.items():
        keys = {"Printed": "printed", "Right": "right", "Shown": "shown"}
        expected = {key: row[field] for key, field in keys.items()}
        assert found[name.lower()] == expected | {"Tests": " ".join(tests[name])}


def test_every_row_of_the_curriculum_is_there_with_its_tests(root):
    taught, tests = registry.taught(root), registry.marks(root, "covers")
    content = tables.coverage(root)
    found = said(content)
    assert len(taught) >= 25
    assert set(found) == {name.lower() for name in taught}
    for name, row in taught.items():
        entry = found[name.lower()]
        assert (entry["Taught"], entry.get("Source", "—")) == (row["teaches"], row["source"])
        assert entry["Tests"].split() == tests[name]
    marked = {test for name in taught for test in tests[name]}
    assert content[0].astext().startswith(f"{len(taught)} rows in ")
    assert content[0].astext().endswith(f"shown by {len(marked)} tests.")


# --- The catalogue -----------------------------------------------------------------------------


class Bare:
    """Says little.  Nothing else."""

    def look(self):
        return None


class Draws(Bare):
    def sample(self, n, *, generator=None):
        return torch.zeros(n)


class Bounds(Draws):
    def elbo(self, x):
        return x


class Energy(Draws):
    def energy(self, x):
        return x


class Exact(Bounds):
    def log_prob(self, x):
        return x


def test_catalogue_of_invented_models(small, monkeypatch):
    invented = {
        cls.__name__: models.Entry(cls, "density", f"Nobody {i}")
        for i, cls in enumerate((Bare, Draws, Bounds, Energy, Exact))
    }
    monkeypatch.setattr(models, "CATALOGUE", invented)
    content = tables.catalogue(small)
    y, n = "yes", "no"
    assert [row[1:] for row in rows(content)] == [
        [n, n, n, n],
        [y, n, n, n],
        [y, n, y, n],
        [y, n, n, y],
        [y, y, y, n],
    ]
    assert rows(content)[1][0].split("\n\n") == ["Draws", "Nobody 1", "Boxes"]
    (note,) = content[1:]
    assert note.astext() == "Bare has none of the four: Says little. Its methods: look."


def test_every_catalogued_model_has_exactly_its_capabilities(root):
    content = tables.catalogue(root)
    names = [protocol.__name__ for protocol in tables.PROTOCOLS]
    found = {
        row[0].split("\n\n")[0]: (
            tuple(name for name, cell in zip(names, row[1:], strict=True) if cell == "yes"),
            row[0].split("\n\n")[1],
        )
        for row in rows(content)
    }
    assert len(found) >= 9
    assert found == {
        name: (models.capabilities(entry.cls), entry.source)
        for name, entry in models.CATALOGUE.items()
    }
    assert {f"genlab.{e.chapter}.{name}" for name, e in models.CATALOGUE.items()} <= links(content)
    assert [note.astext().split(": ")[0] for note in content[1:]] == [
        f"{name} has none of the four"
        for name in (
            "KNNDensity",
            "DenoisingAutoencoder",
            "BinaryDenoiser",
            "PredictabilityMinimisation",
        )
    ]


# --- The taxonomy ------------------------------------------------------------------------------


def tree(item: nodes.list_item) -> dict[str, dict]:
    """An item of a nested list: its text, and the items under it."""
    inner = item[1] if len(item) > 1 else []
    return {item[0].astext(): {k: v for child in inner for k, v in tree(child).items()}}


def test_taxonomy_of_invented_models(small, monkeypatch):
    invented = {
        cls.__name__: models.Entry(cls, "density", "Nobody 1") for cls in (Bare, Exact, Energy)
    }
    invented["Bounds"] = models.Entry(Bounds, "density", "Nobody 2")
    monkeypatch.setattr(models, "CATALOGUE", invented)
    (content,) = tables.taxonomy(small)
    assert content["classes"] == ["taxonomy"]
    can = dict(models.PLACES)
    assert tree(content[0]) == {
        "The models of this course": {
            "explicit": {
                f"tractable: {can['explicit, tractable']}": {"Exact in Boxes": {}},
                f"approximate: {can['explicit, approximate']}": {"Energy, Bounds in Boxes": {}},
            },
            f"implicit: {can['implicit']} (none so far)": {},
            f"not generative: {can['not generative']}": {"Bare in Boxes": {}},
        }
    }
    expected = {f"genlab.density.{name}" for name in invented} | {"/book/01_density"}
    assert links([content]) == expected


@pytest.mark.covers("S0-12", "S0-68", "S3-07")
def test_every_catalogued_model_stands_at_its_one_leaf(root):
    (content,) = tables.taxonomy(root)
    found = [
        (link["reftarget"], leaf[0][0].astext())
        for leaf in content.findall(nodes.list_item)
        if len(leaf) > 1 and leaf[0].astext() != "The models of this course"
        for child in leaf[1]
        for link in child[0].findall(layout.pending_xref)
        if link["refdomain"] == "py"
    ]
    assert len(found) >= 10
    assert sorted(found) == sorted(
        (f"genlab.{entry.chapter}.{name}", models.place(entry.cls).rpartition(", ")[2])
        for name, entry in models.CATALOGUE.items()
    )


# --- Measured ----------------------------------------------------------------------------------


RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def plain(text: str) -> str:
    """A printed number as Python reads it."""
    return text.replace(",", "").replace("·10", "e").translate(RAISED)


def figures(cell: str) -> list[float]:
    """Numbers of a cell in seconds, bytes or as they are."""
    unit = {"s": 1, "ms": 1e-3, "µs": 1e-6, "MB": 1e6}
    scale = next((unit[word] for word in cell.split() if word in unit), 1)
    return [scale * float(n) for n in re.findall(r"-?\d[\d.]*(?:e-?\d+)?", plain(cell))]


def near(numbers: list[float]):
    return pytest.approx(numbers, rel=5e-3)  # three digits are printed


def test_measured_figures_are_those_of_the_files(root):
    files = sorted((root / "benchmarks" / "results").glob("*.json"))
    sections = measured.measured(root)
    assert len(sections) == len(files) >= 1
    for file, family in zip(files, sections, strict=True):
        record = json.loads(file.read_text(encoding="utf8"))
        setting = family.astext()
        assert record["commit"][:10] in setting
        assert record["processor"] in setting
        for name, version in record["versions"].items():
            assert f"{name} {version}" in setting
        for changed in record["changed"]:
            assert changed in setting
        printed = [row for row in rows([family]) if row]
        expected = []
        for m in record["measurements"]:
            for name, times in m.get("seconds", {}).items():
                clocks = [
                    [times[f"median_{c}"], min(times[c]), max(times[c])] for c in ("cpu", "wall")
                ]
                ratio = m["ratios"].get(name, {}).get("cpu")
                multiple = [ratio[key] for key in ("median", "min", "max")] if ratio else [1.0]
                expected.append((name, [*clocks, multiple]))
            for key in ("max_abs_error", "max_abs_gap"):
                for name, found in m.get(key, {}).items():
                    values = found.values() if isinstance(found, dict) else [found]
                    expected.append((name, [[value] for value in values]))
            for p in m.get("published", []):
                expected.append((p["what"], [[p["here"]], [p["published"]]]))
            for name, values in m.get("repetitions", {}).items():
                expected.append((name, [[sum(values) / len(values)], values]))
            for target in m["targets"]:
                limit = target.get("at_least", target.get("at_most"))
                expected.append((target["what"], [[target["value"]], [limit]]))
        for name, cells in expected:
            assert any(
                name in row
                and [figures(c) for c in row[row.index(name) + 1 :]][: len(cells)]
                == [near(cell) for cell in cells]
                for row in printed
            ), (name, cells)
        assert len(printed) >= len(expected)


def measured_page(root: Path, family: str, *measurements: dict) -> nodes.section:
    """The section of one record, taken on a machine of wood."""
    record = {
        "family": family,
        "date": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef",
        "changed": [],
        "processor": "abacus",
        "cores": 1,
        "load": [0.5, 1, 2],
        "platform": "wood",
        "threads": ["torch 1", "torch 1"],
        "vector_instructions": "none",
        "versions": {"genlab": "0.1"},
        "measurements": measurements,
    }
    write(root / "benchmarks" / "results" / "record.json", json.dumps(record))
    (page,) = measured.measured(root)
    return page


def test_a_limit_that_was_missed_is_said(small):
    page = measured_page(
        small,
        "speed",
        {
            "what": "adding",
            "setting": {"n": 1000, "h": 0.158489},
            "peak_bytes": 2500000,
            "score": {"ours": -1.5, "theirs": -2},
            "targets": [{"what": "bytes", "value": 2.5e6, "at_most": 1e6, "met": False}],
        },
    )
    assert rows([page]) == [
        ["peak bytes", "2.50 MB"],
        ["score, ours", "-1.50"],
        ["score, theirs", "-2"],
        ["bytes", "2.50 MB", "at most 1.00 MB", "no, missed"],
    ]
    assert "Date: 2 January 2026, 03:04 UTC" in page.astext()
    assert "Commit: 0123456789\n" in page.astext()
    assert "Setting: n = 1,000; h = 0.158489." in page.astext()


def test_what_was_published_stands_beside_what_was_reached(small):
    page = measured_page(
        small,
        "published: VAE",
        {
            "what": "digits",
            "setting": {"binarisation": "fixed", "k": 5},
            "published": [
                {"what": "nats an image", "here": 88.123, "published": 86.76, "source": "A 1999"}
            ],
            "repetitions": {"nats": [88.0, 88.246], "CPU seconds": [2.0, 4.0]},
            "targets": [],
        },
    )
    assert rows([page]) == [
        ["nats an image", "88.12", "86.76", "A 1999"],
        ["nats", "88.12", "88.00, 88.25"],
        ["CPU seconds", "3.00 s", "2.00 s, 4.00 s"],
    ]
    assert "Setting: binarisation = fixed; k = 5." in page.astext()
    assert page[0].astext() == "Published: VAE"


@pytest.mark.parametrize(
    ("median", "text"),
    [
        (2.5, "2.50 s (2.00 to 3.00)"),
        (0.25, "250 ms (2000 to 3000)"),
        (0.0001, "100 µs (2000000 to 3000000)"),
    ],
)
def test_times_take_the_unit_of_their_median(median, text):
    assert (
        measured._seconds(median, [2.0, 3.0]).replace(measured.NBSP, " ").replace(",", "") == text
    )


@pytest.mark.parametrize("value", [3, 12345, 0.0, 0.000123, 0.0123, 1.0, 99.96, 357.2, 816e6])
def test_numbers_are_read_back(value):
    text = measured.number(value)
    assert math.isclose(float(plain(text)), value, rel_tol=5e-3)
    assert not text.endswith(".")


# --- The reference, and the pages as Sphinx builds them ----------------------------------------


def test_imported_names_are_not_public():
    found = set(reference.public("genlab.interact"))
    assert {"Knob", "sliders"} <= found
    assert not {"math", "Callable", "dataclass"} & found
    assert reference.public("genlab.train") == ["Batch", "History", "fit"]
    assert "CATALOGUE" in reference.public("genlab.models")
    assert not {"M", "Tensor", "torch", "Protocol"} & set(reference.public("genlab.models"))
    assert reference.public("genlab.density") == genlab.density.__all__


def test_bars_are_mathematics_in_text_and_stay_as_they_are_in_code():
    lines = [
        "|x| and ``|x|`` and :math:`|x|`.",
        "",
        ".. math:: |x|",
        "          + |y|",
        "",
        "Then |y|:",
        "",
        ">>> a | b",
        "|c|",
        "",
        "|z|",
    ]
    reference._keep_bars(None, "function", "f", None, None, lines)
    assert lines[0] == r"\|x\| and ``|x|`` and :math:`|x|`."
    assert lines[2:4] == [".. math:: |x|", "          + |y|"]
    assert lines[5] == r"Then \|y\|:"
    assert lines[7:9] == [">>> a | b", "|c|"]
    assert lines[10] == r"\|z\|"


def test_a_stamp_sees_what_is_changed_added_and_removed(small):
    sources = ("tests/test_*.py", "book/errata.toml")
    seen = [tables.stamp(small, sources)]
    write(small / "tests" / "test_y.py", "")
    seen.append(tables.stamp(small, sources))
    write(small / "tests" / "test_y.py", "x = 1")
    seen.append(tables.stamp(small, sources))
    write(small / "tests" / "other.py", "")
    assert tables.stamp(small, sources) == seen[-1]
    (small / "tests" / "test_y.py").unlink()
    assert len(set(seen)) == 3
    assert tables.stamp(small, sources) == seen[0]


def test_every_module_of_the_package_has_its_page_of_reference(root):
    package = root / "genlab"
    found = {p.stem for p in package.glob("*.py")} | {p.parent.name for p in package.glob("*/*.py")}
    found = {name for name in found - {"course"} if not name.startswith("_")}
    assert found == {page.stem for page in (root / "book" / "api").glob("*.md")}
    for page in (root / "book" / "api").glob("*.md"):
        assert f"{{api}} genlab.{page.stem}\n" in page.read_text(encoding="utf8")


CONF = """
from genlab.course import tables
extensions = ["myst_parser"]
html_theme = "basic"
nitpick_ignore_regex = [("py:.*", ".*")]
exclude_patterns = ["_build", "tests", "genlab", "benchmarks"]
root_doc = "book/index"
def setup(app):
    tables.connect(app)
"""


def sphinx(folder: Path) -> subprocess.CompletedProcess:
    """Build the folder; warnings are errors and dead links are warnings."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-b", "html", ".", "_build"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The generated pages, beside a chapter that is a title only; built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("tests", "genlab", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "book" / "api", folder / "book" / "api")
    pages = [f"{name}.md" for name in tables.PAGES if name not in ("taxonomy", "schedule")]
    for name in (*pages, "errata.toml", "curriculum.toml"):
        shutil.copy(ROOT / "book" / name, folder / "book")
    for page in (ROOT / "book").glob("[0-9][0-9]_*.md"):
        heading = re.search("^# .*", page.read_text(encoding="utf8"), re.MULTILINE)
        write(folder / "book" / page.name, heading[0])
    write(folder / "book" / "taxonomy.md", "# Taxonomy\n\n```{taxonomy}\n```\n")  # in a chapter
    write(folder / "book" / "schedule.md", "# Dates\n\n```{schedule}\n```\n")  # on the first page
    write(folder / "course.toml", 'title = "x"\n[chapters.01_density]\ndue = 2027-02-12\n')
    contents = "# Index\n\n```{toctree}\n:glob:\n*\napi/*\n```\n"
    write(folder / "book" / "index.md", contents)
    write(folder / "conf.py", CONF)
    done = sphinx(folder)
    assert done.returncode == 0, done.stderr
    return folder


def page(site: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / "_build" / "book" / f"{name}.html").read_text(), "html.parser")


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_an_entry_to_link_to(site, name):
    module = import_module(f"genlab.{name}")
    own = getattr(module, "__all__", None) or [
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (isclass(value) or isfunction(value))
        and value.__module__ == module.__name__
    ]
    html = page(site, f"api/{name}")
    index = {link["href"] for link in page(site, "api").select("a[href]")}
    assert own
    for key in own:
        entry = html.find(id=f"genlab.{name}.{key}")
        assert entry is not None, key
        assert f"api/{name}.html#genlab.{name}.{key}" in index
        doc = getattr(module, key).__doc__ if callable(getattr(module, key)) else None
        if doc and ">>>" in doc:
            assert entry.find_parent("dl").select(".highlight pre"), f"{key} shows no example"


def test_constants_stand_with_their_text(site):
    assert (
        "Twenty integers: one 3"
        in page(site, "api/data").find(id="genlab.data.LIST_A").find_parent("dl").get_text()
    )
    assert page(site, "api/density").find(id="genlab.density.KERNELS")
    assert page(site, "api/laws").find(id="genlab.laws.Bound")


def test_links_of_the_generated_pages_lead_somewhere(site):
    count = 0
    for name in tables.PAGES:
        here = site / "_build" / "book" / f"{name}.html"
        for link in page(site, name).select("[role=main] a.reference.internal"):
            file, _, address = link["href"].partition("#")
            target = (here.parent / file) if file else here
            assert target.is_file(), link
            assert f'id="{address}"' in target.read_text() or not address, link
            count += 1
    catalogue = {link["href"] for link in page(site, "catalogue").select("td a")}
    assert "api/density.html#genlab.density.KDE" in catalogue
    assert "01_density.html" in catalogue
    assert count > 100


def test_a_page_is_read_again_when_its_source_changed_and_a_row_without_test_stops_the_build(site):
    errata = site / "book" / "errata.toml"
    before = errata.read_text(encoding="utf8")
    slip = 'chapter = "density"\nprinted = "up"\nright = "down"\nshown = "falls"\n'
    try:
        errata.write_text(f"{before}\n[E999]\n{slip}", encoding="utf8")
        done = sphinx(site)
    finally:
        errata.write_text(before, encoding="utf8")
    assert "0 added, 1 changed" in done.stdout
    assert done.returncode != 0
    assert "no test covers the row 'E999'" in done.stderr
    assert page(site, "errata").find(id="e999")
