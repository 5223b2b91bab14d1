"""The school: what builds, checks and hands out the course."""

import json
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import CheckCellMetadata
from nbgrader.utils import compute_checksum

import genlab
from genlab.course import assets, cli, dependencies, doctor, notebooks, registry, site
from genlab.course.check import check
from genlab.course.root import CourseError, chapters, find_root
from genlab.laws import LawBroken

ROOT = Path(__file__).parents[1]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).lstrip("\n"), encoding="utf8")
    return path


@pytest.fixture
def course(tmp_path) -> Path:
    """A folder that is a course, and empty otherwise."""
    write(tmp_path / "_toc.yml", "format: jb-book\nroot: book/index\n")
    (tmp_path / "genlab").mkdir()
    return tmp_path


# --- The three answers of an exercise ----------------------------------------------------------


def said(capsys, act) -> str:
    """What a check prints around ``act``; it never raises."""
    with check("1.2") as answer:
        act()
    text = capsys.readouterr().out
    assert answer.right is (text == "1.2 right\n")
    assert text.endswith("\n")
    return text.removesuffix("\n")


def raising(error: BaseException):
    def act():
        raise error

    return act


def test_right(capsys):
    assert said(capsys, lambda: None) == "1.2 right"


def test_not_attempted(capsys):
    assert said(capsys, raising(NotImplementedError())) == "1.2 not attempted"


@pytest.mark.parametrize(
    ("error", "because"),
    [
        (AssertionError("a kernel in d dimensions is divided by n·h^d"), "a kernel in d "),
        (LawBroken("The density integrates to 0.5000, not 1."), "The density integrates to 0.5"),
        (ZeroDivisionError("division by zero"), "it stopped with ZeroDivisionError: division by"),
        (NotImplementedError("no such kernel"), "it stopped with NotImplementedError: no such k"),
        (KeyError("h"), "it stopped with KeyError: 'h'"),
        (RecursionError("too deep"), "it stopped with RecursionError: too deep"),
    ],
)
def test_not_yet_because(capsys, error, because):
    assert said(capsys, raising(error)).startswith(f"1.2 not yet, because {because}")


def test_an_assertion_without_a_word_shows_its_line(capsys):
    def act():
        raise AssertionError  # the line that failed

    text = said(capsys, act)
    assert text == "1.2 not yet, because this failed: raise AssertionError  # the line that failed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_stays_one(capsys, error):
    with pytest.raises(error), check("1.2") as answer:
        raise error
    assert capsys.readouterr().out == ""
    assert not answer.right
    with pytest.raises(AssertionError):
        answer.require()


def test_graders_require_the_visible_checks(capsys):
    with check("1.2") as answer:
        pass
    answer.require()
    with check("1.3") as answer:
        raise NotImplementedError
    with pytest.raises(AssertionError, match=r"Exercise 1\.3: the visible checks did not pass"):
        answer.require()
    with pytest.raises(AssertionError):
        check("1.4").require()  # never run


# --- Where the course is -----------------------------------------------------------------------


def test_the_root_is_found_from_below(course):
    below = course / "book" / "deep"
    below.mkdir(parents=True)
    assert find_root(below) == find_root(course) == course.resolve()


def test_a_contents_file_alone_is_no_course(tmp_path):
    write(tmp_path / "_toc.yml", "")
    with pytest.raises(CourseError, match=r"neither .* holds _toc\.yml and genlab/\. Change into"):
        find_root(tmp_path)


def test_chapters_are_numbered_and_in_order(course):
    for name in ("10_last.py", "02_second.py", "01_first.py", "notes.py", "01_first.ipynb"):
        write(course / "solutions" / name, "")
    assert chapters(course) == ["01_first", "02_second", "10_last"]


# --- The command -------------------------------------------------------------------------------


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for command in ("build", "notebooks", "doctor"):
        assert re.search(rf"^ +{command}\s+\w+ \w+", text, re.MULTILINE), command


@pytest.mark.parametrize("command", ["build", "notebooks", "doctor"])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 200


def test_the_installed_command_knows_its_version():
    command = [Path(sys.executable).with_name("genlab"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"genlab {genlab.__version__}\n"
    assert version("genlab") == genlab.__version__


@pytest.mark.parametrize("argv", [[], ["publish"], ["build", "--fast"]])
def test_an_unknown_command_ends_with_2(capsys, argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert "usage: genlab" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["build", "notebooks"])
def test_outside_a_course_there_is_a_sentence_on_stderr(capsys, monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"genlab {command}: No course here: neither {tmp_path}")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("argv", [["notebooks"], ["notebooks", "--check"]])
def test_an_unknown_chapter_is_named_beside_those_there_are(capsys, monkeypatch, course, argv):
    write(course / "solutions" / "01_dice.py", "# %%\n1\n")
    monkeypatch.chdir(course)
    assert cli.main([*argv, "02_coins"]) == 1
    expected = "genlab notebooks: No chapter 02_coins; there are 01_dice.\n"
    assert capsys.readouterr().err == expected
    assert not (course / "exercises").exists()


def test_an_interrupted_command_ends_with_130(capsys, monkeypatch, course):
    monkeypatch.chdir(course)
    monkeypatch.setattr(notebooks, "check", raising_for_any(KeyboardInterrupt()))
    assert cli.main(["notebooks", "--check"]) == 130
    assert capsys.readouterr().err == "genlab notebooks: interrupted\n"


def raising_for_any(error: BaseException):
    def act(*_):
        raise error

    return act


@pytest.mark.parametrize(("fine", "code"), [(True, 0), (False, 1)])
def test_the_doctor_tells_the_shell(monkeypatch, fine, code):
    monkeypatch.setattr(doctor, "examine", lambda: fine)
    assert cli.main(["doctor"]) == code


# --- Which modules a page depends on -----------------------------------------------------------

PAGE = """
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

It says `import genlab.spoken` but does not do it.

```{code-cell} ipython3
import math

from genlab import data, plot
import genlab.chapter.part as part
```

```{code-cell} ipython3
%matplotlib inline
!ls
def late():
    from genlab.late import thing
```
"""
FILES = {
    "__init__.py": "",
    "data/__init__.py": "from genlab.data.lists import A",
    "data/lists.py": "from genlab.deep import B\nA = B",
    "data/unused.py": "",
    "deep.py": "import torch\nimport genlab.circle",
    "circle.py": "import genlab.deep",
    "plot.py": "",
    "chapter/__init__.py": "from . import sibling",
    "chapter/part.py": "from .near import x\nfrom ..above import y",
    "chapter/near.py": "",
    "chapter/sibling.py": "",
    "above.py": "",
    "late.py": "",
    "spoken.py": "",
    "other.py": "import genlab.plot",
}


@pytest.fixture
def page(course) -> Path:
    for name, text in FILES.items():
        write(course / "genlab" / name, text)
    return write(course / "book" / "01_page.md", PAGE)


def test_modules_are_found_directly_and_indirectly(course, page):
    found = {file.relative_to(course / "genlab").as_posix() for file in modules(course, page)}
    assert found == set(FILES) - {"data/unused.py", "spoken.py", "other.py"}


def modules(course, page):
    return dependencies.modules(page, course)


def test_a_page_of_text_depends_on_nothing(course):
    assert modules(course, write(course / "book" / "index.md", "# Title\n\nText.\n")) == set()


@pytest.mark.parametrize("changed", sorted(FILES))
def test_the_fingerprint_changes_with_the_modules_under_the_page_only(course, page, changed):
    before = dependencies.fingerprint(page, course)
    assert dependencies.fingerprint(page, course) == before
    file = course / "genlab" / changed
    file.write_text(file.read_text() + "\n# changed\n")
    same = dependencies.fingerprint(page, course) == before
    assert same == (changed in {"data/unused.py", "spoken.py", "other.py"})


def test_the_fingerprint_changes_with_the_libraries_not_with_the_page(course, page, monkeypatch):
    before = dependencies.fingerprint(page, course)
    page.write_text(page.read_text() + "\nMore text.\n")  # the cache compares the page itself
    assert dependencies.fingerprint(page, course) == before
    monkeypatch.setattr(dependencies, "version", lambda name: f"{version(name)}.post1")
    assert dependencies.fingerprint(page, course) != before


def test_the_pages_of_the_book_depend_on_what_they_import(root):
    found = dependencies.modules(root / "book" / "01_density.md", root)
    names = {file.relative_to(root / "genlab").as_posix() for file in found}
    assert {
        "density/kernel.py",
        "models/protocols.py",
        "plot.py",
        "data/lists.py",
        "laws/__init__.py",
    } <= names
    assert not any(name.startswith("course/") for name in names), "the lab imports the school"


# --- The doctor --------------------------------------------------------------------------------


def test_everything_is_fine_here(capsys):
    assert doctor.examine()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All that is needed is there."
    assert not any(line.startswith("MISSING") for line in lines)
    assert f"ok      Python {platform.python_version()}" in lines
    for package in ("torch", "jupyter-book", "pytest", "ruff"):
        assert f"ok      {package} {version(package)}" in lines
    assert not any(" genlab " in line for line in lines)


def test_a_missing_package_is_named_with_the_remedy(capsys, monkeypatch):
    def without_torch(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", without_torch)
    assert not doctor.examine()
    lines = capsys.readouterr().out.splitlines()
    (missing,) = [line for line in lines if line.startswith("MISSING")]
    assert re.fullmatch(
        r"MISSING torch is not installed \(wanted .*>=2\.6.*; run: make setup\)", missing
    )
    assert lines[-1] == "Something that is needed is missing."


def test_a_package_that_is_too_old_is_named_with_its_version(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "0.1" if name == "scipy" else version(name))
    assert not doctor.examine()
    assert re.search(r"^MISSING scipy 0\.1 \(wanted .*>=1\.13", capsys.readouterr().out, re.M)


def test_an_old_python_is_named(capsys, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 0))
    assert not doctor.examine()
    assert "(Python 3.11 or newer is needed" in capsys.readouterr().out


def test_what_is_only_useful_may_be_absent(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.delenv("GENLAB_DATA", raising=False)
    assert doctor.examine()
    text = capsys.readouterr().out
    assert re.search(r"^absent  npm \(.*install Node\.js\)$", text, re.M)
    assert re.search(r"^absent  Chromium \(only for a release.*chromium\)$", text, re.M)
    assert re.search(r"^absent  GENLAB_DATA is not set \(only for the larger", text, re.M)
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path))
    assert doctor.examine()
    assert f"ok      GENLAB_DATA = {tmp_path}\n" in capsys.readouterr().out
    monkeypatch.setenv("GENLAB_DATA", str(tmp_path / "gone"))
    assert doctor.examine()
    assert f"absent  GENLAB_DATA = {tmp_path / 'gone'} (" in capsys.readouterr().out


# --- Claims and their tests --------------------------------------------------------------------


def test_labels_of_claims_are_found_on_their_pages(tmp_path):
    page = """
        ```{prf:theorem} A name
        :label: thm-one
        :class: wide

        Text.
        ```

        :::{prf:lemma}
        :nonumber:
        :label: lem-two
        Text.
        :::

        ::::{prf:definition}
        :label: def-none

        :::{prf:corollary}
        :label: cor-three
        :::
        ::::

        ```{prf:proof}
        Of `{prf:theorem}` there is nothing to see here.
        ```
        """
    write(tmp_path / "book" / "01_a.md", page)
    write(tmp_path / "book" / "02_b.md", "````{prf:proposition}\n:label: prop-four\n````\n")
    write(tmp_path / "notes" / "03_c.md", "```{prf:theorem}\n:label: thm-five\n```\n")
    assert registry.labels(tmp_path) == {
        "thm-one": "01_a.md",
        "lem-two": "01_a.md",
        "cor-three": "01_a.md",
        "prop-four": "02_b.md",
    }


@pytest.mark.parametrize("kind", registry.CLAIMS)
def test_a_claim_without_a_label_is_reported(tmp_path, kind):
    # The label of the next claim, or one in the text, is not its own.
    page = f"""
        ```{{prf:{kind}}} Nameless

        See the option `:label: thm-text`.
        :label: thm-text
        ```

        ```{{prf:theorem}}
        :label: thm-next
        ```
        """
    write(tmp_path / "book" / "01_a.md", page)
    nameless, named = registry.labels(tmp_path)
    assert nameless.startswith("unlabelled in 01_a.md")
    assert f"{{prf:{kind}}} Nameless" in nameless
    assert named == "thm-next"


def test_marks_are_read_without_running_anything(tmp_path):
    write(
        tmp_path / "tests" / "test_a.py",
        """
        import pytest
        raise SystemExit("this file must not be run")

        @pytest.mark.proves("thm-one", "lem-two")
        @pytest.mark.covers("S1-01")
        def test_first():
            pass

        class TestGroup:
            @pytest.mark.parametrize("n", [1])
            @pytest.mark.proves("thm-one")
            def test_second(self, n):
                pass

        def test_third():
            "pytest.mark.proves('thm-none')"
        """,
    )
    write(tmp_path / "tests" / "test_b.py", "def test_plain():\n    pass\n")
    write(tmp_path / "tests" / "helper.py", "@pytest.mark.proves('thm-no')\ndef f(): pass\n")
    assert registry.marks(tmp_path, "proves") == {
        "thm-one": ["test_a.py::test_first", "test_a.py::test_second"],
        "lem-two": ["test_a.py::test_first"],
    }
    assert registry.marks(tmp_path, "covers") == {"S1-01": ["test_a.py::test_first"]}


def test_rows_are_read_from_their_files(tmp_path):
    write(tmp_path / "book" / "curriculum.toml", '[S1-01]\nchapter = "density"\n')
    write(tmp_path / "book" / "errata.toml", '[E01]\nchapter = "density"\nright = "1/n"\n')
    assert registry.taught(tmp_path) == {"S1-01": {"chapter": "density"}}
    assert registry.slips(tmp_path) == {"E01": {"chapter": "density", "right": "1/n"}}


# --- Exercises and solutions -------------------------------------------------------------------


def graded(grade_id: str, *, solution=False, grade=False, **more) -> str:
    """The head of a cell with nbgrader's metadata."""
    metadata = {
        "grade": grade,
        "grade_id": grade_id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
        **more,
    }
    return f"# %% nbgrader={json.dumps(metadata)}"


SOLUTION = graded("double", solution=True)
CHECK = graded("check-double", grade=True, points=2)
SOURCE = f'''
# %% [markdown]
# # Exercises
#
# Double a number. Umlauts and signs survive: ä, ∫, 𝔼.

# %%
import os

print(os.environ["OMP_NUM_THREADS"], os.environ["GENLAB_QUIET"], os.path.basename(os.getcwd()))

{SOLUTION}
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    the_secret_of_doubling = x + x
    return the_secret_of_doubling
    ### END SOLUTION

# %% tags=["wrong-answer"]
def double(x):
    return x**2  # right for 0 and 2 only

{CHECK}
from genlab.course.check import check

with check("1.1") as answer:
    assert double(2) == 4
### BEGIN HIDDEN TESTS
answer.require()
assert double(21) == 42, "the hidden number"
### END HIDDEN TESTS

{graded("why", solution=True, grade=True, points=1).replace("# %%", "# %% [markdown]")}
# Because addition is what doubling means.

# %%
double(1.5)
'''


@pytest.fixture
def chapter(course) -> Path:
    """A course with one chapter of exercises."""
    write(course / "solutions" / "01_dice.py", SOURCE)
    return course


def source(text: str, folder: Path) -> nbformat.NotebookNode:
    return notebooks.read(write(folder / "01_dice.py", text))


def test_the_exercise_is_the_same_to_the_byte(tmp_path):
    one, two = (
        notebooks.dumps(notebooks.exercise(source(SOURCE, tmp_path), "01_dice")) for _ in range(2)
    )
    assert one == two
    nb = nbformat.reads(one, as_version=4)
    nbformat.validate(nb)
    assert one == notebooks.dumps(nb), "reading and writing changes nothing"


def test_the_exercise_holds_stubs_and_no_secrets(tmp_path):
    text = notebooks.dumps(notebooks.exercise(source(SOURCE, tmp_path), "01_dice"))
    for secret in ("secret", "hidden", "HIDDEN", "SOLUTION", "x**2", "because", "Because", "(21)"):
        assert secret not in text.replace("answer here", ""), secret
    cells = {cell.id: cell for cell in nbformat.reads(text, as_version=4).cells}
    expected = 'def double(x):\n    """Twice x."""\n    raise NotImplementedError'
    assert cells["double"].source == expected
    assert cells["check-double"].source.endswith("assert double(2) == 4")
    assert cells["why"].source == "*Your answer here.*"
    assert "ä, ∫, 𝔼" in text
    for cell in cells.values():
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)


def test_cell_ids_depend_on_nothing_but_the_source(tmp_path):
    nb = source(SOURCE, tmp_path)
    ids = [cell.id for cell in nb.cells]
    plain = {i: f"01_dice-{i:02d}" for i in range(7)}
    assert ids == list((plain | {2: "double", 4: "check-double", 5: "why"}).values())
    assert [c.id for c in notebooks.solution(nb).cells] == ids[:3] + ids[4:]
    assert [c.id for c in notebooks.exercise(nb, "01_dice").cells] == ids[:3] + ids[4:]


def test_nbgrader_accepts_the_exercise(tmp_path):
    nb = notebooks.exercise(source(SOURCE, tmp_path), "01_dice")
    MetadataValidator().validate_nb(nb)
    CheckCellMetadata().preprocess(nb, {})
    cells = {cell.id: cell for cell in nb.cells if "nbgrader" in cell.metadata}
    assert set(cells) == {"double", "check-double", "why"}
    for name, cell in cells.items():
        assert cell.metadata["nbgrader"]["schema_version"] == 3
        assert cell.metadata["nbgrader"]["checksum"] == compute_checksum(cell), name
        assert cell.metadata.get("deletable") is False, name
    assert cells["check-double"].metadata["editable"] is False
    assert cells["double"].metadata.get("editable", True), "the student cannot write"


def test_deriving_leaves_the_source_alone(tmp_path):
    nb = source(SOURCE, tmp_path)
    before = nbformat.writes(nb)
    notebooks.exercise(nb, "01_dice")
    notebooks.solution(nb)
    assert nbformat.writes(nb) == before


BODY = "\n### BEGIN SOLUTION\n1\n### END SOLUTION\n"
HIDDEN = "\nassert 1\n### BEGIN HIDDEN TESTS\nassert 2\n### END HIDDEN TESTS\n"
BOTH = graded("both", solution=True, grade=True, points=1)
MALFORMED = {
    "nested": f"{SOLUTION}\n### BEGIN SOLUTION\n### BEGIN SOLUTION\n1\n### END SOLUTION\n",
    "unclosed": f"{SOLUTION}\n### BEGIN SOLUTION\n1\n",
    "unclosed hidden tests": f"{CHECK}\n### BEGIN HIDDEN TESTS\nassert 1\n",
    "end without begin": f"{SOLUTION}\n1\n### END SOLUTION\n",
    "end before begin": f"{SOLUTION}\n### END SOLUTION\n1\n### BEGIN SOLUTION\n",
    "one region in another": f"{BOTH}\n### BEGIN SOLUTION\n{HIDDEN}\n### END SOLUTION\nx = 1\n",
    "regions that overlap": f"{BOTH}\n### BEGIN SOLUTION\n1\n### BEGIN HIDDEN TESTS\n"
    "2\n### END SOLUTION\n3\n### END HIDDEN TESTS\nx = 1\n",
    "lower case": f"{SOLUTION}\n### begin solution\n1\n### end solution\n",
    "plural": f"{SOLUTION}\n### BEGIN SOLUTIONS\n1\n### END SOLUTIONS\n",
    "singular": f"{CHECK}\n### BEGIN HIDDEN TEST\nassert 1\n### END HIDDEN TEST\n",
    "without a space": f"{SOLUTION}\n###BEGIN SOLUTION\n1\n###END SOLUTION\n",
    "four hashes": f"{SOLUTION}\n#### BEGIN SOLUTION\n1\n#### END SOLUTION\n",
    "underscore": f"{CHECK}\n### BEGIN HIDDEN_TESTS\nassert 1\n### END HIDDEN_TESTS\n",
    "behind code": f"{SOLUTION}\nx = 1  ### BEGIN SOLUTION\n### END SOLUTION\n",
    "solution in a plain cell": f"# %%{BODY}",
    "hidden tests in a plain cell": f"# %%{HIDDEN}",
    "solution in a check": f"{CHECK}{BODY}x = 1\n",
    "hidden tests in a solution": f"{SOLUTION}{HIDDEN}",
    "in a wrong answer": f'{SOLUTION}{BODY}\n# %% tags=["wrong-answer"]{BODY}',
    "wrong answer with metadata": SOLUTION.replace("# %%", '# %% tags=["wrong-answer"]') + "\n1\n",
    "two with one id": f"{SOLUTION}\n1\n\n{SOLUTION}\n2\n",
    "id of a plain cell": f"{graded('01_dice-01', solution=True)}\n1\n\n# %%\n2\n",
    "no points": f"{graded('check', grade=True)}\nassert 1\n",
    "no id": f"{graded('', solution=True)}\n1\n",
    "id with a space": f"{graded('a b', solution=True)}\n1\n",
    "old schema": f"{graded('old', solution=True, schema_version=1)}\n1\n",
    "half of the metadata": '# %% nbgrader={"solution": true, "schema_version": 3}\n1\n',
    "text that is graded and not answered": CHECK.replace("# %%", "# %% [markdown]") + "\n# Why?\n",
    "check that ends in a number": f"{CHECK}\nassert 1\n1\n",
    "check that is not Python": f"{CHECK}\nassert (\n",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_cell_stops_the_tool_and_is_named(tmp_path, case):
    text = "# %%\nx = 0\n\n" if case != "id of a plain cell" else ""
    text += MALFORMED[case]
    with pytest.raises(CourseError) as caught:
        notebooks.exercise(source(text, tmp_path), "01_dice")
    message = str(caught.value)
    assert "01_dice" in message
    assert re.search(r"double|both|check|old|a b|01_dice-0[12]", message), message


@pytest.mark.parametrize(
    "text",
    [
        f"{SOLUTION}{BODY}",
        f"{SOLUTION}\n1\n",
        f"{CHECK}{HIDDEN}",
        f"{CHECK}\n",
        f"{BOTH}{BODY}{HIDDEN}",
        f"{SOLUTION}{BODY}{BODY}",
        "# %% [markdown]\n# The beginning of a solution ends here; no hidden meaning.\n",
    ],
)
def test_well_formed_cells_are_let_through(tmp_path, text):
    nb = notebooks.exercise(source(text, tmp_path), "01_dice")
    assert "###" not in nb.cells[0].source
    assert "assert 2" not in nb.cells[0].source


def test_a_wrong_answer_follows_the_solution_that_it_gets_wrong(tmp_path):
    nb = source(SOURCE, tmp_path)
    ((place, wrong),) = notebooks.wrong_answers(nb)
    assert nb.cells[place].id == "double"
    assert "x**2" in wrong.source
    two = SOURCE.replace(CHECK, f'# %% tags=["wrong-answer"]\n1\n\n{CHECK}')
    assert [nb.cells[i].id for i, _ in notebooks.wrong_answers(source(two, tmp_path))] == [
        "double",
        "double",
    ]


@pytest.mark.parametrize("before", ["", "# %%\n1\n\n", f"{SOLUTION}\n1\n\n# %%\n2\n\n"])
def test_a_wrong_answer_elsewhere_is_refused(tmp_path, before):
    nb = source(f'{before}# %% tags=["wrong-answer"]\n3\n', tmp_path)
    with pytest.raises(CourseError, match=r"wrong answer 01_dice-0\d follows no solution cell"):
        notebooks.wrong_answers(nb)


def test_both_notebooks_are_written_once_and_watched(chapter, capsys):
    student = chapter / "exercises" / "01_dice.ipynb"
    solved = chapter / "solutions" / "01_dice.ipynb"

    def differs(name):
        with pytest.raises(CourseError, match=rf"^{name}: not what .* Run `genlab notebooks`"):
            notebooks.check(chapter)

    differs("exercises/01_dice.ipynb, solutions/01_dice.ipynb")  # nothing is there yet
    notebooks.write(chapter)
    assert capsys.readouterr().out.splitlines() == [
        "exercises/01_dice.ipynb: written",
        "running solutions/01_dice.py",
        "solutions/01_dice.ipynb: written",
    ]
    assert sorted(p.name for p in student.parent.iterdir()) == ["01_dice.ipynb"]
    notebooks.check(chapter, ["01_dice"])
    assert "are what solutions/*.py gives" in capsys.readouterr().out

    # A second run gives the same bytes: no times, no counts of what ran before.
    bytes_of = {path: path.read_bytes() for path in (student, solved)}
    notebooks.write(chapter, ["01_dice"])
    assert capsys.readouterr().out.count(": unchanged") == 2
    assert {path: path.read_bytes() for path in bytes_of} == bytes_of
    assert not re.search(rb"iopub|shell\.execute|T\d\d:\d\d:\d\d", bytes_of[solved])

    nb = nbformat.read(solved, 4)
    printed = [o.get("text", o.get("data")) for c in nb.cells for o in c.get("outputs", [])]
    assert printed == ["1 1 solutions\n", "1.1 right\n", {"text/plain": "3.0"}]
    assert not any("wrong-answer" in c.metadata.get("tags", []) for c in nb.cells)

    # Edited by hand: every byte of an exercise counts, and every cell of a solution.
    student.write_bytes(bytes_of[student].replace(b"Twice x", b"Twice  x"))
    differs("exercises/01_dice.ipynb")
    student.write_bytes(bytes_of[student] + b"\n")
    differs("exercises/01_dice.ipynb")
    student.unlink()
    differs("exercises/01_dice.ipynb")
    student.write_bytes(bytes_of[student])
    solved.write_bytes(bytes_of[solved].replace(b"x + x", b"2 * x"))
    differs("solutions/01_dice.ipynb")
    solved.write_bytes(b"<<<<<<< a merge gone wrong")
    differs("solutions/01_dice.ipynb")
    # Outputs are nbval's to judge.
    solved.write_bytes(bytes_of[solved].replace(b"1.1 right", b"1.1 left"))
    notebooks.check(chapter)


def test_a_cell_that_fails_is_shown_with_its_traceback(tmp_path):
    nb = source("# %%\nx = 1\n\n# %%\ndef f():\n    return x / 0\n\nf()\n", tmp_path)
    with pytest.raises(CourseError) as caught:
        notebooks.executed(nb, tmp_path)
    told = re.sub(r"\x1b\[[\d;]*m", "", str(caught.value))  # it is coloured
    assert re.search(r"-> +2 +return x / 0", told)
    assert "ZeroDivisionError: division by zero" in told
    assert nb.cells[0].outputs == [], "the notebook that came in is left alone"


def test_a_cell_that_takes_too_long_or_ends_the_kernel_is_an_answer_too(tmp_path):
    with pytest.raises(CourseError, match=r"(?s)timed out .* after 1 seconds.*sleep"):
        notebooks.executed(source("# %%\nimport time; time.sleep(60)\n", tmp_path), tmp_path, 1)
    with pytest.raises(CourseError, match="Kernel died"):
        notebooks.executed(source("# %%\nimport os; os._exit(3)\n", tmp_path), tmp_path)


# --- MathJax -----------------------------------------------------------------------------------


@pytest.fixture
def with_lock(course) -> Path:
    write(course / "book" / "package-lock.json", '{"lockfileVersion": 3}')
    return course


def npm(folder: Path, monkeypatch, script: str) -> Path:
    """A program in the place of npm; it notes each call in ``calls``."""
    calls = folder / "calls"
    program = write(folder / "bin" / "npm", f'#!/bin/sh\necho "$@" >> "{calls}"\n{script}')
    program.chmod(0o755)
    monkeypatch.setattr(assets.shutil, "which", lambda name: str(program))
    return calls


def test_without_npm_what_is_lost_is_said(with_lock, monkeypatch):
    monkeypatch.setattr(assets.shutil, "which", lambda name: None)
    said = assets.vendor(with_lock)
    assert said.startswith("npm is not installed, so MathJax cannot be fetched. Formulas will be")
    assert "Install Node.js and build again" in said
    assert not (with_lock / "book" / "_static").exists()


def test_where_npm_fails_its_reason_is_said(with_lock, monkeypatch):
    npm(with_lock, monkeypatch, "echo 'npm error network' >&2; exit 1")
    said = assets.vendor(with_lock)
    assert said.startswith("npm could not fetch MathJax. Formulas will be shown as TeX source")
    assert said.endswith("npm error network")
    assert not (with_lock / "book" / "_static").exists()


def test_files_are_fetched_once_for_each_lock_and_list_of_parts(with_lock, monkeypatch):
    make = []
    for package, folder, parts, _ in assets.PARTS:
        make += [f"mkdir -p node_modules/{package}/{folder}"]
        make += [f"echo licence > node_modules/{package}/LICENSE"]
        for part in parts:
            path = f"node_modules/{package}/{folder}/{part}"
            make += [f"mkdir -p $(dirname {path})"]
            make += [f"echo {part} > {path}" if "." in part else f"mkdir -p {path}"]
    calls = npm(with_lock, monkeypatch, "\n".join(make))
    target = with_lock / "book" / "_static" / "vendor"
    assert assets.vendor(with_lock) == ""
    for _, _, parts, name in assets.PARTS:
        assert (target / name / "LICENSE").read_text() == "licence\n"
        assert all((target / name / part).exists() for part in parts)
    assert assets.vendor(with_lock) == ""
    assert calls.read_text() == "ci --prefer-offline --ignore-scripts --no-audit --no-fund\n"
    write(target / "left-over.js", "")
    write(with_lock / "book" / "package-lock.json", '{"lockfileVersion": 4}')
    assert assets.vendor(with_lock) == ""
    assert calls.read_text().count("ci ") == 2
    assert not (target / "left-over.js").exists()
    package, folder, parts, name = assets.PARTS[0]
    fewer = ((package, folder, parts[:1], name), *assets.PARTS[1:])
    monkeypatch.setattr(assets, "PARTS", fewer)
    assert assets.vendor(with_lock) == ""
    assert {file.name for file in (target / name).iterdir()} == {parts[0], "LICENSE"}


# --- From end to end ---------------------------------------------------------------------------

HEAD = PAGE.split("# A page")[0].lstrip("\n")
ALT = "A line rises from the lower left to the upper right."
THEOREM = """
```{prf:theorem}
:label: thm-one

One is one: $1 = 1$.
```
"""
LEMMA = THEOREM.replace("theorem", "lemma").replace("thm-one", "lem-two")
TEST = """
import pytest

@pytest.mark.proves("thm-one")
def test_one_is_one():
    assert 1 == 1
"""
RUN = 'import os\nfrom genlab.course import {}\nprint("run", os.urandom(4).hex())'
FIGURE = f'from genlab import plot\nplot.curve([0, 1], [0, 1], alt="{ALT}")'
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
BARE = f'import base64\nfrom IPython.display import Image\nImage(base64.b64decode("{DOT}"))'


def cells(*codes: str) -> str:
    return "".join(f"\n```{{code-cell}} ipython3\n{code}\n```\n" for code in codes)


@pytest.fixture
def book(with_lock, monkeypatch) -> Path:
    """The real configuration around three small pages; there is no npm."""
    course = with_lock
    monkeypatch.setattr(assets.shutil, "which", lambda name: None)
    shutil.copy(ROOT / "_config.yml", course)
    shutil.copy(ROOT / "book" / "references.bib", course / "book")
    shutil.copytree(
        ROOT / "book" / "_static",
        course / "book" / "_static",
        ignore=shutil.ignore_patterns("vendor"),
    )
    pages = ["01_one", "02_two", "03_three"]
    toc = "".join(f"  - file: book/{page}\n" for page in pages)
    write(course / "_toc.yml", f"format: jb-book\nroot: book/index\nchapters:\n{toc}")
    for page in ("index", *pages):
        write(course / "book" / f"{page}.md", f"# Page {page}\n")
    for name in ("root", "check"):
        write(course / "genlab" / "course" / f"{name}.py", "# in the place of the module")
    write(course / "tests" / "test_one.py", TEST)
    return course


def test_a_failing_cell_fails_the_build_cold_and_warm(book, capfd):
    write(book / "book" / "01_one.md", f"{HEAD}# One\n{cells('one = 1', 'one / 0')}")
    for _ in range(2):
        with pytest.raises(CourseError, match="book/01_one failed; the reason stands above"):
            site.build(book)
        told = capfd.readouterr()
        assert "ZeroDivisionError" in told.out + told.err
        assert not (book / "_build" / "html" / "index.html").exists()


def test_a_build_from_end_to_end(book, capfd):
    def page(name: str) -> str:
        return (book / "_build" / "html" / "book" / f"{name}.html").read_text(encoding="utf8")

    def runs() -> list[str]:
        return [re.search(r"run [0-9a-f]{8}", page(name))[0] for name in ("01_one", "02_two")]

    # An image without alt text and a claim without a test: the build fails, and says of what.
    write(book / "book" / "01_one.md", f"{HEAD}# One\n{THEOREM}{cells(RUN.format('root'), FIGURE)}")
    write(book / "book" / "02_two.md", f"{HEAD}# Two\n{cells(RUN.format('check'))}")
    write(book / "book" / "03_three.md", f"{HEAD}# Three\n{LEMMA}{cells(BARE)}")
    with pytest.raises(CourseError, match="the pages were not built"):
        site.build(book)
    told = capfd.readouterr()
    warnings = {line for line in (told.out + told.err).splitlines() if "WARNING:" in line}
    assert len(warnings) == 2, warnings
    assert all("03_three.md" in line for line in warnings)
    assert "no test proves the label 'lem-two'" in "".join(warnings)
    assert "image without alt text" in "".join(warnings)

    # The other pages are as they should be.
    images = re.findall(r"<img [^>]*_images/[^>]*>", page("01_one"))
    for image, theme in zip(images, ("only-light", "only-dark"), strict=True):
        assert theme in image
        assert f'alt="{ALT}"' in image
        assert 'width="660"' in image
    claim = re.sub(r"<[^>]+>", "", page("01_one").split("One is one")[1])
    assert "Checked by test_one.py::test_one_is_one" in claim
    before = runs()

    # Repaired, and with a module changed that only the second page imports: it alone runs again.
    write(book / "book" / "03_three.md", "# Three\n")
    write(book / "genlab" / "course" / "check.py", "# changed")
    assert site.build(book) == book / "_build" / "html" / "index.html"
    told = capfd.readouterr().out
    assert "npm is not installed" in told
    assert re.search(r"genlab build: done in \d+ s\. Open .*index\.html", told)
    after = runs()
    assert after[0] == before[0]
    assert after[1] != before[1]
