"""A selection: what is left out is nowhere, what stays reads well and is in step."""

import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from small import contents, small_course

from genlab.course import exercises, notebooks, pictures, registry
from genlab.course.release.links import Gone, called, unlinked
from genlab.course.release.plan import Chapter, Plan, pages, read
from genlab.course.release.select import select
from genlab.course.release.trim import objectives, times, trim
from genlab.course.root import CourseError
from genlab.course.schedule import schedule

ROOT = Path(__file__).parents[1]
GENERATED = ("api", "catalogue", "coverage", "errata", "measured")
MODULES = ("density", "divergences", "models")
COURSE = """\
title = "A small course"
[chapters.01_density]
due = 2027-02-12T23:59:00Z
exercises = ["1.1"]
points = { "1.1" = 5 }
"""


def chosen(text: str, root: Path) -> None:
    """Select what the text says."""
    (root / "course.toml").write_text(text, encoding="utf8")
    select(root, read(root))


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The small course with the generated pages, and rows and measurements of both chapters."""
    root = small_course(tmp_path_factory.mktemp("select"))
    shutil.rmtree(root / ".git")
    book = root / "book"
    (book / "api").mkdir()
    for name in (*GENERATED, *(f"api/{module}" for module in MODULES)):
        shutil.copy(ROOT / "book" / f"{name}.md", book / f"{name}.md")
    (root / "benchmarks" / "results").mkdir(parents=True)
    for slug in ("density", "divergences"):
        name = f"benchmarks/results/{slug}.json"
        shutil.copy(ROOT / name, root / name)
        row = f'chapter = "{slug}"\nteaches = "of {slug}"\nsource = "—"\n'
        slip = 'printed = "2"\nright = "3"\nshown = "1 + 2 = 3"\n'
        for rows, row_id, fields in (("curriculum", "S1", row), ("errata", "E1", row + slip)):
            with (book / f"{rows}.toml").open("a", encoding="utf8") as file:
                file.write(f"# Of {slug}.\n[{row_id}-{slug}]\n{fields}\n")
    marks = "".join(
        f'@pytest.mark.covers("S1-{slug}", "E1-{slug}")\ndef test_row_{slug}():\n    assert True\n'
        for slug in ("density", "divergences")
    )
    with (root / "tests" / "test_claims.py").open("a", encoding="utf8") as file:
        file.write(marks)
    with (root / "_toc.yml").open("a", encoding="utf8") as file:
        file.write("".join(f"      - file: book/{name}\n" for name in GENERATED[1:]))
        file.write("      - file: book/api\n        sections:\n")
        for module in MODULES:
            file.write(f"          - file: book/api/{module}\n")
    index = (book / "index.md").read_text(encoding="utf8")
    dates = "```{schedule}\n```\n\n## Chapters"
    (book / "index.md").write_text(index.replace("## Chapters", dates), encoding="utf8")
    return root


@pytest.fixture
def copy(course, tmp_path) -> Path:
    """The course without its package and the look of its pages."""
    leave = shutil.ignore_patterns("genlab", "_static")
    return Path(shutil.copytree(course, tmp_path / "course", ignore=leave))


@pytest.fixture(scope="module")
def one(course, tmp_path_factory) -> Path:
    """One chapter with one exercise, selected and built."""
    root = Path(shutil.copytree(course, tmp_path_factory.mktemp("one") / "course"))
    chosen(COURSE, root)
    done = subprocess.run(
        [sys.executable, "-m", "genlab.course.cli", "build"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return root


def text_of(root: Path, page: str) -> str:
    html = (root / "_build" / "html" / f"{page}.html").read_text(encoding="utf8")
    return " ".join(BeautifulSoup(html, "html.parser").article.get_text(" ").split())


# --- The site ----------------------------------------------------------------------------------


def test_nothing_on_the_site_names_what_is_left_out(one):
    site = one / "_build" / "html"
    names = ("02_divergences", "thm-divergences", "api/divergences", "E1-divergences")
    assert (site / "searchindex.js").is_file()
    for path, content in contents(site).items():
        if path == "objects.inv":
            content = zlib.decompress(content.split(b"\n", 4)[4])
        for name in names:
            assert name not in path
            assert name.encode() not in content, path
    for page in ("coverage", "errata", "measured"):
        assert "ensity" in text_of(one, f"book/{page}")
        assert "ivergence" not in text_of(one, f"book/{page}")
    assert "KDE" in text_of(one, "book/catalogue")
    assert "GaussianMixture" not in text_of(one, "book/catalogue")  # its chapter has no page


def test_every_link_of_the_site_leads_somewhere(one):
    site, count = one / "_build" / "html", 0
    for page in sorted(site.rglob("*.html")):
        if "_static" in page.parts:
            continue
        soup = BeautifulSoup(page.read_text(encoding="utf8"), "html.parser")
        for tag in soup.select("[href], [src]"):
            url = urlsplit(tag.get("href") or tag.get("src"))
            if url.scheme or url.netloc:
                continue
            target = page.parent / unquote(url.path) if url.path else page
            assert target.is_file(), (page, tag)
            if url.fragment and target.suffix == ".html":
                assert f'id="{unquote(url.fragment)}"' in target.read_text(encoding="utf8"), tag
            count += 1
    assert count > 300


def test_what_led_to_it_reads_on(one):
    assert (
        "see the divergences, The law of divergences and an equation of Divergences ."
        in text_of(one, "book/01_density")
    )
    assert "02 · Divergences" not in text_of(one, "book/index")
    assert "01 · Density estimation" in text_of(one, "book/index")


def test_the_first_page_has_the_dates(one):
    html = (one / "_build" / "html" / "book" / "index.html").read_text(encoding="utf8")
    (section,) = BeautifulSoup(html, "html.parser").select("section#dates")
    rows = [[c.get_text(strip=True) for c in row.select("th, td")] for row in section.select("tr")]
    assert rows == [
        ["Chapter", "Exercises", "Points", "Due"],
        ["Density estimation", "1 exercise", "5", "Friday 12 February 2027, 23:59 (UTC)"],
    ]
    links = [a["href"] for a in section.select("td a")]
    assert links == ["01_density.html", "../exercises/01_density.html"]


def test_pictures_are_those_of_the_pages_that_are_there(tmp_path, monkeypatch):
    names = ("course", "01_density", "02_divergences")
    monkeypatch.setattr(pictures, "PICTURES", dict.fromkeys(names, lambda: Figure((1, 1))))
    (tmp_path / "01_density.md").touch()
    folder = tmp_path / "_static" / "pictures"
    pictures.write(folder)
    drawn = [
        f"{name}-{ground}.png" for name in ("01_density", "course") for ground in ("dark", "light")
    ]
    assert sorted(file.name for file in folder.iterdir()) == drawn


CONF = """
from genlab.course import tables
extensions = ["myst_parser"]
html_theme = "basic"
exclude_patterns = ["_build"]
root_doc = "book/index"
def setup(app):
    tables.connect(app)
"""


def test_the_dates_are_made_again_when_the_plan_changes_and_a_bad_plan_stops_the_build(tmp_path):
    def built(course: str) -> subprocess.CompletedProcess:
        (tmp_path / "course.toml").write_text(f'title = "x"\n[chapters.01_density]\n{course}')
        command = [sys.executable, "-m", "sphinx", "-W", "-b", "html", ".", "_build"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "01_density.md").write_text("# Boxes\n")
    contents = "# Index\n\n```{schedule}\n```\n\n```{toctree}\n01_density\n```\n"
    (tmp_path / "book" / "index.md").write_text(contents)
    done = built("due = 2027-02-12")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "_build" / "book" / "index.html").read_text(encoding="utf8")
    assert "Friday 12 February 2027" in page
    refused = built("due = 'soon'")  # the page itself has not changed
    assert refused.returncode != 0
    assert "chapters.01_density.due: expected a date, or a date and time" in refused.stderr


# --- The notebooks -----------------------------------------------------------------------------


def test_the_notebooks_are_what_the_trimmed_source_gives(one):
    notebooks.check(one)
    nb = notebooks.read(one / "solutions" / "01_density.py")
    before, (exercise,) = exercises.parts(nb, "01_density.py")
    assert (exercise.number, exercise.points, exercise.minutes) == ("1.1", 5, 10)
    assert before[0].source == (
        "# Exercises 01: density\n\n**Due: Friday 12 February 2027, 23:59 (UTC).**\n\n"
        "One exercise, 5 points, about 10 minutes. Replace each `raise NotImplementedError`.\n\n"
        "The chapter: [Density estimation](../book/01_density.md)."
    )
    student = (one / "exercises" / "01_density.ipynb").read_text(encoding="utf8")
    assert "four_times" not in student
    assert '"points": 5' in student


def test_the_solutions_keep_their_outputs(one, course):
    def outputs(root):
        nb = nbformat.read(root / "solutions" / "01_density.ipynb", 4)
        return {c.source: (c.outputs, c.execution_count) for c in nb.cells if "outputs" in c}

    now, was = outputs(one), outputs(course)
    assert any(found for found, _ in now.values())
    assert {source: was[source] for source in now} == now
    assert len(now) == len(was) - 2  # the solution and the check that are left out


def test_a_plan_of_everything_changes_nothing_and_shows_no_dates(copy):
    before = contents(copy)
    select(copy, read(copy))
    assert contents(copy) == before
    assert schedule(copy) == []


def test_a_chapter_without_exercises_keeps_its_page(copy):
    call = "\nNow do the [exercises](../exercises/01_density.ipynb).\n\n## Sources\n"
    with (copy / "book" / "01_density.md").open("a", encoding="utf8") as file:
        file.write(call)
    was = contents(copy)
    chosen("[chapters.01_density]\nexercises = []\n[chapters.02_divergences]\n", copy)
    now = contents(copy)
    assert set(was) - set(now) == {
        "exercises/01_density.ipynb",
        "solutions/01_density.ipynb",
        "solutions/01_density.py",
    }
    changed = {name for name in now if now[name] != was.get(name)}
    assert changed == {"_toc.yml", "book/01_density.md", "book/index.md", "course.toml"}
    page = now["book/01_density.md"].decode()
    assert "say what the exercises ask" in page
    assert page.endswith("integrates to one.\n\n## Sources\n")
    assert "[01 · Density estimation](01_density.md)" in now["book/index.md"].decode()
    notebooks.check(copy)


def test_a_notebook_that_is_out_of_step_is_refused_before_anything_is_changed(copy):
    path = copy / "solutions" / "01_density.ipynb"
    path.write_text(path.read_text(encoding="utf8").replace("x + x", "2 * x"), encoding="utf8")
    before = contents(copy)
    plan = read(copy)
    kept = Plan(plan.title, "", "", "main", "", {"02_divergences": plan.chapters["02_divergences"]})
    with pytest.raises(CourseError, match="genlab notebooks"):
        select(copy, kept)
    assert contents(copy) == before


def test_a_first_cell_without_the_sum_is_refused_when_it_would_change(copy):
    source = copy / "solutions" / "01_density.py"
    text = source.read_text(encoding="utf8")
    source.write_text(text.replace("Two exercises, 5 points, ", ""), encoding="utf8")
    whole, part = ({"1.1": 2, "1.2": 3}, {"1.1": 2})
    trim(copy, Chapter("01_density", whole), str)
    with pytest.raises(CourseError, match="Eight exercises, 20 points, about three hours"):
        trim(copy, Chapter("01_density", part), str)


@pytest.mark.parametrize(
    ("weights", "points", "shares"),
    [
        ((1, 2), 9, [3, 6]),
        ((1, 2), 4, [1, 3]),
        ((1, 1, 1), 5, [2, 2, 1]),
        ((2, 1), 0, [0, 0]),
        ((0, 2), 5, [0, 5]),
        ((0, 0), 3, [2, 1]),
    ],
)
def test_points_of_several_checks_keep_their_proportions(copy, weights, points, shares):
    source = copy / "solutions" / "01_density.py"
    pattern = r'(# %% nbgrader=.*"check-density-twice".*\n[^#]*)'
    head, check, rest = re.split(pattern, source.read_text(encoding="utf8"))
    checks = "".join(
        check.replace('"check-density-twice"', f'"check-{i}"').replace(
            '"points": 2', f'"points": {weight}'
        )
        for i, weight in enumerate(weights)
    )
    head = head.replace("(2 points, 10", f"({sum(weights)} points, 10")
    source.write_text(head + checks + rest, encoding="utf8")
    solution = notebooks.dumps(notebooks.solution(notebooks.read(source)))
    source.with_suffix(".ipynb").write_text(solution, encoding="utf8")
    trim(copy, Chapter("01_density", {"1.1": points, "1.2": 3}), str)
    _, there = exercises.parts(notebooks.read(source), "01_density.py")
    assert there[0].points == points
    assert [cell.metadata["nbgrader"]["points"] for cell in there[0].checks] == shares
    notebooks.check(copy, ["01_density"])


def test_points_alone_change_no_time(copy):
    chosen('[chapters.01_density]\npoints = { "1.2" = 4 }\n[chapters.02_divergences]\n', copy)
    first = notebooks.read(copy / "solutions" / "01_density.py").cells[0].source
    assert "Two exercises, 6 points, about half an hour." in first
    notebooks.check(copy)


# --- Prose -------------------------------------------------------------------------------------

PAGE = """\
(sec-kde)=
## Kernels

(exp-x)=
:::{explorable} density
:::

$$
x = 1
$$ (eq-dollars)

```{math}
:label: eq-math
x
```

```{prf:theorem} Inversion
:label: thm-inversion
```

::::{prf:algorithm}
:label: alg-x
::::

```{figure} x.png
:width: 3px
:name: fig-x
```
"""


def test_every_label_has_words():
    assert called(PAGE, "*Density*") == {
        "sec-kde": "*Kernels*",
        "exp-x": "a figure of *Density*",
        "eq-dollars": "an equation of *Density*",
        "eq-math": "an equation of *Density*",
        "thm-inversion": "*Inversion*",
        "alg-x": "an algorithm of *Density*",
        "fig-x": "a figure of *Density*",
    }


OUT = Gone(
    {
        "book/01_density": "*Density*",
        "exercises/01_density": "the exercises of *Density*",
        "book/api/density": "`genlab.density`",
    },
    called(PAGE, "*Density*"),
)


BOTH = '[$[0, 1]$ [x]](01_density.md) [it](01_density.md#kernels "title")'
NUMBERED = "{ref}`sec-kde`, {ref}`here <sec-kde>`, {numref}`Figure %s <fig-x>`"
PROOF = "```{prf:proof}\nBy {prf:ref}`thm-inversion`.\n```\n\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("see [chapter 01](01_density.md).", "see chapter 01."),
        (BOTH, "$[0, 1]$ [x] it"),
        ("[](01_density.md), [](#sec-kde), [this](#thm-inversion)", "*Density*, *Kernels*, this"),
        ("[a](../book/01_density.md) [b](/book/01_density.md)", "a b"),
        ("[e](../exercises/01_density.ipynb) [r](api/density.md)", "e r"),
        ("{doc}`01_density`, {doc}`/book/01_density`", "*Density*, *Density*"),
        ("{doc}`the page <01_density>`", "the page"),
        (
            "By {prf:ref}`thm-inversion`, by {prf:ref}`a law <thm-inversion>`",
            "By *Inversion*, by a law",
        ),
        ("{eq}`eq-math`", "an equation of *Density*"),
        (NUMBERED, "*Kernels*, here, a figure of *Density*"),
        ("in [a\nlink](01_density.md), {ref}`two\nlines <sec-kde>`", "in a\nlink, two\nlines"),
        (
            PROOF + "{eq}`eq-math`",
            PROOF.replace("{prf:ref}`thm-inversion`", "*Inversion*") + "an equation of *Density*",
        ),
        ("- `a` and `b` of {ref}`sec-kde`, `c`", "- `a` and `b` of *Kernels*, `c`"),
    ],
)
def test_a_link_to_what_is_left_out_becomes_words(old, new):
    assert unlinked(old, "book", OUT) == new


@pytest.mark.parametrize(
    "text",
    [
        "[there](02_divergences.md), {prf:ref}`thm-scheffe`, {cite}`eq-math`, {try}`sec-kde a <b>`",
        "![a picture](01_density.md) and [elsewhere](https://example.org/01_density.md)",
        "```{code-cell} ipython3\nprint('[a](01_density.md)')\n```",
        "```python\n[a](01_density.md)\n```",
        "``{ref}`sec-kde` `` and `[a](01_density.md)`",
    ],
)
def test_other_links_and_code_stay(text):
    assert unlinked(text, "book", OUT) == text


TIME = "**Time:** two hours to read, three and a half for the [exercises](../exercises/01_a.ipynb)."
CARD = "*Two hours to read, three of [exercises](../exercises/01_a.ipynb).*"
CALL = "End.\n\nNow do the [exercises](../exercises/01_a.ipynb).\n\n## Sources\n"


def test_the_time_for_exercises_is_that_of_the_chosen_ones():
    half = {"exercises/01_a": 30}
    assert times(TIME, "book", half) == TIME.replace("three and a half for", "half an hour for")
    assert times(CARD, "book", half) == CARD.replace("three of", "half an hour of")
    assert times(CALL, "book", half) == CALL
    none = {"exercises/01_a": 0}
    assert times(TIME, "book", none) == "**Time:** two hours to read."
    assert times(CARD, "book", none) == "*Two hours to read.*"
    assert times(CALL, "book", none) == "End.\n\n## Sources\n"
    for text in (TIME, CARD, CALL):
        assert times(text, "book", {"exercises/02_b": 0}) == text


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ([], " (exercises 1.1, 1.2); (1.3, 1.5)."),
        (["1.1"], " (exercise 1.2); (1.3, 1.5)."),
        (["1.1", "1.2"], "; (exercises 1.3, 1.5)."),
        (["1.1", "1.2", "1.5"], "; (exercise 1.3)."),
        (["1.1", "1.2", "1.3", "1.5"], ";."),
    ],
)
def test_objectives_name_the_exercises_that_are_there(left_out, said):
    page = "# A\n\n1. do{}\n\n**Before:** all.\n\nThe rate (1.2) stays.\n"
    old = page.format(" (exercises 1.1, 1.2); (1.3, 1.5).")
    assert objectives(old, left_out) == page.format(said)


def test_contents_with_nothing_left_in_a_part(copy):
    toc = {
        "format": "jb-book",
        "root": "book/index",
        "parts": [
            {"caption": "One", "chapters": [{"file": "book/01_density"}]},
            {"caption": "Two", "chapters": [{"file": "book/02_divergences"}]},
        ],
    }
    (copy / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf8")
    chosen("[chapters.02_divergences]\n", copy)
    toc["parts"] = toc["parts"][1:]
    assert yaml.safe_load((copy / "_toc.yml").read_text(encoding="utf8")) == toc


# --- This course -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pages(ROOT))
def test_each_chapter_of_this_course_stands_alone(tmp_path, name):
    for part in ("book", "solutions", "exercises", "_toc.yml", "_config.yml"):
        if (ROOT / part).is_dir():
            skip = shutil.ignore_patterns("_static", "node_modules", ".*")
            shutil.copytree(ROOT / part, tmp_path / part, ignore=skip)
        else:
            shutil.copy(ROOT / part, tmp_path)
    labels = {
        label: page
        for page in pages(ROOT)
        for label in called((ROOT / "book" / f"{page}.md").read_text(encoding="utf8"), "")
    }
    assert len(labels) > 50
    chosen(f"[chapters.{name}]\ndue = 2027-02-12\n", tmp_path)
    assert pages(tmp_path) == [name]
    out = [page for page in pages(ROOT) if page != name]
    for file in (*tmp_path.glob("book/**/*.md"), *tmp_path.glob("exercises/*")):
        text = file.read_text(encoding="utf8")
        for page in out:
            assert not re.search(rf"\]\([\w./]*{page}\.", text), (file, page)
        for label, page in labels.items():
            if page in out:
                assert not re.search(rf"`{label}`|<{label}>|\(#{label}\)", text), (file, label)
    rows = (tmp_path / "book" / "errata.toml").read_text(encoding="utf8")
    assert {slip["chapter"] for slip in registry.slips(tmp_path).values()} <= {name[3:]}
    assert rows.count("\n[") == len(registry.slips(tmp_path))
    notebooks.check(tmp_path)
    cell = notebooks.read(tmp_path / "solutions" / f"{name}.py").cells[0]
    assert "**Due: Friday 12 February 2027.**" in cell.source
