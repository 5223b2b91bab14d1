"""Chapters run side by side; the cache and its reasons; nothing is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from jupyter_cache import get_cache

from genlab.course import dependencies, execute, site
from genlab.course.root import CourseError

ROOT = Path(__file__).parents[1]
HEAD = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A page

"""
# A page that ends only if the other one runs at the same time.
MEET = """
import pathlib, time
pathlib.Path("{me}.here").touch()
end = time.monotonic() + 30
while not pathlib.Path("{other}.here").exists():
    assert time.monotonic() < end, "the other page did not come"
    time.sleep(0.05)
"""
COUNT = "open('{}.runs', 'a').write('run ')"


def page(course: Path, name: str, *codes: str, text: str = "Text.") -> Path:
    cells = "".join(f"\n```{{code-cell}} ipython3\n{dedent(code).strip()}\n```\n" for code in codes)
    path = course / "book" / f"{name}.md"
    path.write_text(f"{HEAD}{text}\n{cells}", encoding="utf8")
    return path


def contents(course: Path, *names: str) -> None:
    files = "".join(f"- file: book/{name}\n" for name in names)
    (course / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{files}")


def runs(course: Path, name: str) -> int:
    file = course / "book" / f"{name}.runs"
    return file.read_text().count("run") if file.exists() else 0


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """The real configuration around two pages; the modules under them are stand-ins.

    Kernels import the real genlab.course.root and .check, which are quick.
    """
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    (tmp_path / "book").mkdir()
    (tmp_path / "genlab" / "course").mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    contents(tmp_path, "01_one", "02_two")
    (tmp_path / "book" / "index.md").write_text("# Index\n")
    (tmp_path / "genlab" / "course" / "root.py").write_text("from genlab.course import deep\n")
    (tmp_path / "genlab" / "course" / "deep.py").write_text("")
    (tmp_path / "genlab" / "course" / "check.py").write_text("")
    page(tmp_path, "01_one", COUNT.format("01_one"), "from genlab.course import root")
    page(tmp_path, "02_two", COUNT.format("02_two"), "from genlab.course import check")
    return tmp_path


@pytest.fixture
def told(capfd):
    """Run the pages; what is said of each."""

    def act(course: Path) -> list[str]:
        capfd.readouterr()
        execute.execute(course)
        captured = capfd.readouterr()
        assert captured.err == "", "no kernel warns, and no bar is drawn into a file"
        return [
            re.sub(r"\b\d+ s\b(?! a page)", "N s", line.strip())
            for line in captured.out.splitlines()
        ]

    return act


FROM_CACHE = [
    "book/01_one: from the cache (nothing it depends on changed)",
    "book/02_two: from the cache (nothing it depends on changed)",
]


def test_pages_run_at_the_same_time_one_thread_each(course, told):
    where = (
        "import os; print(*(os.environ[k] for k in ('OMP_NUM_THREADS', 'GENLAB_QUIET')), "
        "os.path.basename(os.getcwd()))"
    )
    page(course, "01_one", MEET.format(me="one", other="two"), where)
    page(course, "02_two", MEET.format(me="two", other="one"))
    assert told(course) == [
        "book/01_one: to run (no record of an earlier run)",
        "book/02_two: to run (no record of an earlier run)",
        "book/01_one: ran N s",
        "book/02_two: ran N s",
    ]
    (one,) = [r for r in get_cache(cache(course)).list_cache_records() if "01_one" in r.uri]
    nb = get_cache(cache(course)).get_cache_bundle(one.pk).nb
    assert nb.cells[1].outputs[0].text == "1 1 book\n"


def cache(course: Path) -> Path:
    return course / "_build" / ".jupyter_cache"


def test_one_processor_runs_one_page_at_a_time(course, told, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    begin = "import pathlib, time; pathlib.Path('one.begun').touch(); time.sleep(1.5)"
    page(course, "01_one", begin, "pathlib.Path('one.ended').touch()")
    ended = "import pathlib; assert pathlib.Path('one.ended').exists()"
    page(course, "02_two", ended)
    assert told(course)[-1] == "book/02_two: ran N s"


def test_what_runs_again_and_why(course, told):
    told(course)
    assert told(course) == FROM_CACHE
    assert (runs(course, "01_one"), runs(course, "02_two")) == (1, 1)

    # A module that the first page imports indirectly.
    (course / "genlab" / "course" / "deep.py").write_text("# changed")
    assert told(course) == [
        "book/01_one: to run (genlab/course/deep.py changed)",
        FROM_CACHE[1],
        "book/01_one: ran N s",
    ]
    assert (runs(course, "01_one"), runs(course, "02_two")) == (2, 1)

    # Prose, and a module under no page.
    page(course, "01_one", COUNT.format("01_one"), "from genlab.course import root", text="Other.")
    (course / "genlab" / "course" / "cli.py").write_text("# changed")
    assert told(course) == FROM_CACHE

    # Code, and a module with it; then only the code goes back, to what never ran with the module.
    (course / "genlab" / "course" / "check.py").write_text("# changed")
    page(course, "02_two", COUNT.format("02_two"), "import genlab.course.check")
    assert told(course)[1] == "book/02_two: to run (its code, genlab/course/check.py changed)"
    page(course, "02_two", COUNT.format("02_two"), "from genlab.course import check")
    assert told(course)[1] == "book/02_two: to run (its code changed)"

    # The module goes back to what did run with this code; that is then the run to compare with.
    (course / "genlab" / "course" / "check.py").write_text("")
    assert told(course) == FROM_CACHE
    assert json.loads((cache(course) / "genlab.json").read_text())["book/02_two"]["sources"][
        "genlab/course/check.py"
    ]
    assert (runs(course, "01_one"), runs(course, "02_two")) == (2, 3)


@pytest.mark.parametrize("lost", ["the record", "the page in it", "the outputs"])
def test_without_an_earlier_run_that_is_the_reason(course, told, lost):
    page(course, "01_one", "1")
    contents(course, "01_one")
    told(course)
    record = cache(course) / "genlab.json"
    if lost == "the record":
        record.unlink()
        page(course, "01_one", "2")
        expected = "no record of an earlier run"
    elif lost == "the page in it":
        record.write_text("{}")
        page(course, "01_one", "2")
        expected = "new"
    else:
        shutil.rmtree(cache(course) / "executed")
        expected = "its outputs are not in the cache"
    assert told(course)[0] == f"book/01_one: to run ({expected})"
    assert told(course) == FROM_CACHE[:1]


def test_another_library_is_named(course, told, monkeypatch):
    contents(course, "01_one")
    told(course)
    version = dependencies.version
    other = {"numpy": "0.1"}
    monkeypatch.setattr(dependencies, "version", lambda name: other.get(name) or version(name))
    assert told(course)[0] == "book/01_one: to run (numpy changed)"


def test_a_cell_that_fails_is_shown_cold_and_warm_and_the_other_page_is_kept(course, capsys):
    path = page(course, "01_one", "x = 1", "def f():\n    return x / 0\n\nf()")
    line = path.read_text().splitlines().index("def f():")  # of its fence, counted from 1
    for other in ("to run (no record of an earlier run)", FROM_CACHE[1].split(": ")[1]):
        with pytest.raises(CourseError, match=r"^book/01_one failed; the reason stands above\.$"):
            execute.execute(course)
        text = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
        assert f"book/01_one: the cell at line {line} stopped. " in text
        assert re.search(r"-> +2 +return x / 0", text)
        assert "ZeroDivisionError: division by zero" in text
        assert f"book/02_two: {other}" in text
    assert runs(course, "02_two") == 1
    assert [Path(r.uri).stem for r in get_cache(cache(course)).list_cache_records()] == ["02_two"]
    assert list(json.loads((cache(course) / "genlab.json").read_text())) == ["book/02_two"]


def test_a_page_that_fails_is_compared_with_its_last_good_run(course, capfd, told):
    contents(course, "01_one")
    told(course)
    page(course, "01_one", "1 / 0")
    for _ in range(2):
        with pytest.raises(CourseError, match="book/01_one failed"):
            execute.execute(course)
        assert "book/01_one: to run (its code" in capfd.readouterr().out


def test_a_dead_kernel_a_timeout_and_a_slip_of_syntax_are_named(course, capsys):
    config = (course / "_config.yml").read_text()
    (course / "_config.yml").write_text(config.replace("timeout: 120", "timeout: 2"))
    contents(course, "01_one", "02_two", "03_three")
    page(course, "01_one", "import os; os._exit(3)")
    page(course, "02_two", "import time; time.sleep(60)")
    page(course, "03_three", "def f(:")
    with pytest.raises(CourseError, match=r"^book/01_one, book/02_two, book/03_three failed; the"):
        execute.execute(course)
    told = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    reasons = re.findall(r"(?s)book/\w+: the cell at line 16 stopped\. .*?(?=  book|$)", told)
    for reason, expected in zip(
        reasons,
        ("01_one.*Kernel died", "02_two.*after 2 seconds", "03_three.*SyntaxError: invalid syntax"),
        strict=True,
    ):
        assert re.search(f"(?s){expected}", reason)


def test_a_page_over_the_budget_is_named_and_fails_in_ci(course, told, monkeypatch):
    monkeypatch.setattr(execute, "BUDGET", 0)
    over = "over the budget of 0 s a page: book/01_one (N s), book/02_two (N s)."
    assert told(course)[-1] == over
    assert told(course)[-1] == over, "the cache does not hide it"
    monkeypatch.setenv("CI", "true")
    with pytest.raises(CourseError, match=r"^over the budget of 0 s a page: book/01_one"):
        execute.execute(course)


def test_the_time_left_counts_the_processors(course, monkeypatch):
    pages = [execute.Page(name, course, None, {}) for name in "abc"]
    assert execute._time_left(pages, {}) == ""
    # c is taken for a mean page and follows a.
    assert execute._time_left(pages, {"a": 10.0, "b": 20.0}) == "about 25 s left"
    assert execute._time_left(pages, {"a": 10.0, "b": 90.0}) == "about 90 s left"
    pages[1].began = time.monotonic() - 1000  # it takes longer than it did
    assert execute._time_left(pages, {"a": 10.0, "b": 20.0}) == "about 15 s left"


def test_a_page_without_a_kernel_is_refused(course):
    path = course / "book" / "01_one.md"
    path.write_text(HEAD.replace("  display_name: Python 3\n", ""))
    with pytest.raises(
        CourseError, match=r"^book/01_one\.md has no kernelspec with a display_name"
    ):
        execute.execute(course)


def test_cells_are_what_the_syntax_of_the_book_makes_them(course):
    path = page(course, "01_one", "1", text=":::{note}\n```{code-cell} ipython3\n2\n```\n:::")
    config = yaml.safe_load((course / "_config.yml").read_text())
    one, _ = execute._pages(course, config)
    assert (one.name, one.path) == ("book/01_one", path)
    assert [cell.source for cell in one.notebook.cells if cell.cell_type == "code"] == ["1"]
    config["execute"]["exclude_patterns"] = ["book/01*"]
    (two,) = execute._pages(course, config)
    assert two.name == "book/02_two"


def test_an_interrupt_ends_the_kernels(course):
    for name in ("01_one", "02_two"):
        code = f"import os, time; open('{name}.pid', 'w').write(str(os.getpid())); time.sleep(600)"
        page(course, name, code)
    act = "import sys, pathlib, genlab.course.execute as e; e.execute(pathlib.Path(sys.argv[1]))"
    child = subprocess.Popen([sys.executable, "-c", act, course], stderr=subprocess.PIPE, text=True)
    try:
        files = [course / "book" / f"{name}.pid" for name in ("01_one", "02_two")]
        pids = [int(until(lambda file=file: file.exists() and file.read_text())) for file in files]
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=120)
    finally:
        child.kill()
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert child.returncode == -signal.SIGINT
    assert not any(alive(pid) for pid in pids), "ended before the command did"
    assert json.loads((cache(course) / "genlab.json").read_text()) == {}


def until(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_jupyter_book_finds_every_page_in_the_cache(course, capfd, monkeypatch):
    monkeypatch.setattr(site, "vendor", lambda root, _: "")
    shutil.copy(ROOT / "book" / "references.bib", course / "book")
    shutil.copytree(
        ROOT / "book" / "_static",
        course / "book" / "_static",
        ignore=shutil.ignore_patterns("vendor"),
    )
    page(course, "01_one", COUNT.format("01_one"), "%matplotlib inline\nprint('made by a kernel')")
    site.build(course)
    out = capfd.readouterr()
    text = out.out + out.err
    assert len(re.findall(r"0[12]_\w+\.md: Using cached notebook", text)) == 2
    assert "Executing notebook" not in text
    assert "Kernel is running over TCP" not in text
    assert (runs(course, "01_one"), runs(course, "02_two")) == (1, 1)
    html = (course / "_build" / "html" / "book" / "01_one.html").read_text(encoding="utf8")
    assert "made by a kernel" in html
