"""What students and instructors are handed: whole, reproducible, and taken by stock tools."""

import csv
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from dataclasses import replace
from datetime import date, datetime
from importlib.metadata import requires, version
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
from archives import ROOT, Made, course, make
from bs4 import BeautifulSoup
from docutils import core
from myst_parser.docutils_ import Parser
from nbgrader.nbgraderformat import MetadataValidator
from packaging.requirements import Requirement

from genlab import __version__
from genlab.course import notebooks
from genlab.course.release import launch
from genlab.course.release import plan as plans
from genlab.course.release.student import build_wheel, student
from genlab.course.root import CourseError, chapters

WHEEL = f"genlab-{__version__}-py3-none-any.whl"
REPOSITORY = "https://github.com/you/genlab-students"
QUIET = {"report_level": 5}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def online(tmp_path_factory) -> Made:
    """The course of an instructor who says where everything is and when it is due."""
    dues = (datetime.fromisoformat("2027-02-12T23:59:00+01:00"), date(2027, 2, 26), None)
    read = plans.read(ROOT).chapters
    chosen = dict(zip(list(read)[:3], dues, strict=True))
    return make(
        tmp_path_factory.mktemp("online"),
        term="Spring 2027",
        repository=REPOSITORY,
        branch="spring/27",
        hub="https://hub.example.edu/jupyter",
        chapters={name: replace(read[name], due=due) for name, due in chosen.items()},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def sources(file: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in nbformat.read(file, 4).cells]


def checksums(file: Path) -> list[str | None]:
    cells = nbformat.read(file, 4).cells
    return [cell.metadata.get("nbgrader", {}).get("checksum") for cell in cells]


def install_cell(made: Made) -> str:
    """The first code cell, which is the same in every notebook."""
    cells = {
        next(source for kind, source in sources(file) if kind == "code") for file in made.notebooks
    }
    assert len(cells) == 1
    return cells.pop()


# Students


def test_the_same_course_gives_the_same_bytes(made, tmp_path):
    before = os.umask(0o077)
    try:
        again = make(tmp_path)
    finally:
        os.umask(before)
    assert contents(again.student) == contents(made.student)
    assert contents(again.instructor) == contents(made.instructor)


def test_nothing_is_left_in_the_course_by_the_wheel(tmp_path):
    root = course(tmp_path)
    before = contents(root)
    assert build_wheel(root, tmp_path, subprocess.run).name == WHEEL
    assert contents(root) == before


def test_a_wheel_that_cannot_be_built_says_why(tmp_path):
    root = course(tmp_path)
    (root / "pyproject.toml").write_text("[project]\nname = 5\n")
    with pytest.raises(CourseError, match=r"setuptools says:[\s\S]*pyproject\.toml"):
        build_wheel(root, tmp_path, subprocess.run)


def test_the_wheel_holds_the_package_and_nothing_else(made):
    about = f"genlab-{__version__}.dist-info"
    with zipfile.ZipFile(made.wheel) as wheel:
        held = {n: wheel.read(n) for n in wheel.namelist() if not n.startswith(about)}
        texts = {wheel.read(f"{about}/licenses/{text}") for text in ("LICENSE", "LICENSE-text")}
    assert texts == {(ROOT / text).read_bytes() for text in ("LICENSE", "LICENSE-text")}
    expected = {
        file.relative_to(ROOT).as_posix(): file.read_bytes()
        for pattern in ("genlab/**/*.py", "genlab/interact/js/*")
        for file in ROOT.glob(pattern)
    }
    assert expected.items() <= held.items()
    assert {Path(name).suffix for name in held} <= {".py", ".mjs", ".js", ".css", ".json"}
    assert {Path(name).parts[0] for name in held} == {"genlab"}


def test_the_readme_names_every_file_and_no_other(made, online):
    for archive in (made, online):
        text = (archive.student / "README.md").read_text(encoding="utf8")
        _, listed = text.split("## What is in this folder")
        there = {p.name + "/" * p.is_dir() for p in archive.student.iterdir()}
        assert set(re.findall(r"^- `(.*)`: \w", listed, re.MULTILINE)) == there
        named = set(re.findall(r"`(exercises/\w+\.ipynb)`", text))
        assert named == {f"exercises/{file.name}" for file in archive.notebooks}
        in_commands = re.findall(r"exercises[/\\]\w+\.ipynb|-r (\S+)", text)
        assert set(filter(None, in_commands)) == {"requirements.txt"}
        for first in re.findall(r"jupyter lab (\S+)", text):
            assert first.replace("\\", "/") == f"exercises/{archive.notebooks[0].name}"


def test_the_readme_has_two_commands_for_each_system(made):
    text = (made.student / "README.md").read_text(encoding="utf8")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)\n```", text, re.DOTALL))
    for system in ("sh", "powershell"):
        install, open_ = blocks[system].split("\n")
        assert install.endswith("pip install -r requirements.txt")
        assert "jupyter lab" in open_


def test_points_and_dates_stand_in_the_readme(online, made):
    text = (online.student / "README.md").read_text(encoding="utf8")
    for name, due in zip(
        online.plan.chapters,
        ("Friday 12 February 2027, 23:59 (UTC+01:00)", "Friday 26 February 2027", "no date"),
        strict=True,
    ):
        points = sum(online.plan.chapters[name].points.values())
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `exercises/{name}"))
        assert row.endswith(f" | {points} | {due} |")
    assert "Spring 2027" in text
    assert "due" not in (made.student / "README.md").read_text(encoding="utf8")


def test_every_package_that_students_install_has_its_exact_version(made):
    lines = (made.student / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {re.sub("[-_.]+", "-", name).lower(): pin for name, pin in pins.items()}
    asked = (made.student / "requirements.txt").read_text(encoding="utf8").splitlines()
    assert asked[1:] == ["-c constraints.txt", f"./{WHEEL}", "ipykernel", "jupyterlab"]
    todo, seen = ["genlab", "ipykernel", "jupyterlab"], set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            assert name == "genlab" or pins[name] == version(name)
            for requirement in map(Requirement, requires(name) or []):
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    todo.append(re.sub("[-_.]+", "-", requirement.name).lower())
    assert {"torch", "jupyter-server"} <= seen


def test_no_link_leads_out_of_the_archive(made, online):
    for archive in (made, online):
        texts = [source for f in archive.notebooks for kind, source in sources(f) if kind != "code"]
        texts.append((archive.student / "README.md").read_text(encoding="utf8"))
        links = [link for text in texts for link in re.findall(r"\]\(([^)\s]+)\)", text)]
        assert links
        assert all(urlsplit(link).scheme == "https" for link in links), links


def test_a_course_without_exercises_is_refused(made, tmp_path):
    root = tmp_path / "course"
    (root / "exercises").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"no chapter has exercises.*course\.toml"):
        student(root, made.plan, "2027.1", made.wheel, tmp_path / "student")
    assert not (tmp_path / "student").exists()


# The first cell and the links


def test_links_lead_to_the_notebook_and_only_where_they_are_known(online, made):
    for file in online.notebooks:
        page = core.publish_string(
            sources(file)[0][1], parser=Parser(), writer_name="html5", settings_overrides=QUIET
        )
        links = BeautifulSoup(page, "html.parser").select('a[href^="https:"]')
        colab, binder, hub = (link["href"] for link in links)
        place = f"exercises/{file.name}"
        assert colab == (
            f"https://colab.research.google.com/github/you/genlab-students/blob/spring/27/{place}"
        )
        assert binder.startswith("https://mybinder.org/v2/gh/you/genlab-students/spring%2F27?")
        assert parse_qs(urlsplit(binder).query) == {"labpath": [place]}
        assert hub.startswith("https://hub.example.edu/jupyter/hub/user-redirect/git-pull?")
        assert parse_qs(urlsplit(hub).query) == {
            "repo": [REPOSITORY],
            "branch": ["spring/27"],
            "urlpath": [f"lab/tree/genlab-students/{place}"],
        }
    for file in made.notebooks:
        assert "](" not in sources(file)[0][1]
    assert not (made.student / "runtime.txt").exists()
    assert (online.student / "runtime.txt").read_text() == "python-3.11\n"


def test_the_first_cell_is_short_and_no_grader_minds_it(made, online):
    for archive in (made, online):
        assert len(install_cell(archive).splitlines()) <= 12
        for file in archive.notebooks:
            (cell,) = (c for c in nbformat.read(file, 4).cells if c.id == "install-genlab")
            assert "nbgrader" not in cell.metadata


def environment(folder: Path) -> Path:
    """Python with all that is installed here, except genlab."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "genlab" not in entry.name and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def printed(python: Path | str, file: Path, cells: int) -> list[str]:
    """What the first code cells of a notebook print when they run where the notebook is."""
    nb = nbformat.read(file, 4)
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"][:cells]
    part = file.with_name("part.ipynb")
    nbformat.write(nb, part)
    command = [python, "-c", "from nbclient.cli import main; main()", "--inplace", part]
    env = os.environ | {
        "PIP_NO_INDEX": "1",
        "no_proxy": "127.0.0.1",
        "JUPYTER_DATA_DIR": str(file.parent),  # no kernel of somebody else
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [*command, "--allow-errors"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [
        "".join(out.get("text") or f"{out.get('ename')}: {out.get('evalue')}" for out in c.outputs)
        for c in nbformat.read(part, 4).cells
    ]


def test_where_genlab_is_the_first_cell_does_nothing(made, online, tmp_path):
    for i, archive in enumerate((made, online)):
        place = tmp_path / str(i)
        shutil.copytree(archive.student / "exercises", place)
        assert printed(sys.executable, place / archive.notebooks[0].name, 1) == [""]


def test_where_genlab_is_missing_the_first_cell_installs_the_wheel(made, tmp_path):
    python = environment(tmp_path / "env")
    archive = tmp_path / "archive"
    shutil.copytree(made.student, archive)
    file = archive / "exercises" / made.notebooks[0].name
    first, second = printed(python, file, 2)
    assert first.strip() in (
        "",
        "Note: you may need to restart the kernel to use updated packages.",
    )
    assert second == ""
    asked = [python, "-c", "import genlab; print(genlab.__file__, genlab.__version__)"]
    said = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert said.startswith(str(tmp_path / "env"))
    assert said.endswith(f"{__version__}\n")


def test_without_the_wheel_the_first_cell_takes_it_from_the_repository(online, tmp_path):
    served = tmp_path / "served" / "raw" / "spring" / "27"
    served.mkdir(parents=True)
    shutil.copy(online.wheel, served)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = tmp_path / "course"
    shutil.copytree(ROOT / "exercises", root / "exercises")
    here = f"http://127.0.0.1:{server.server_port}"
    launch.prepare(root, replace(online.plan, repository=here, hub=""), WHEEL)
    python = environment(tmp_path / "env")
    (said,) = printed(python, root / "exercises" / online.notebooks[0].name, 1)
    server.shutdown()
    server.server_close()
    assert "rror" not in said
    assert list((tmp_path / "env").glob(f"lib/*/site-packages/genlab-{__version__}.dist-info"))


def test_without_any_wheel_the_first_cell_says_what_to_do(made, tmp_path):
    shutil.copytree(made.student / "exercises", tmp_path / "exercises")
    python = environment(tmp_path / "env")
    (said,) = printed(python, tmp_path / "exercises" / made.notebooks[0].name, 1)
    assert said == "ImportError: Unpack the whole student archive, and follow its README.md."


def test_another_version_is_named_and_not_replaced(made, tmp_path):
    python = environment(tmp_path / "env")
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "genlab").mkdir()
    (site / "genlab" / "__init__.py").write_text('__version__ = "0.0.9"\n')
    archive = tmp_path / "archive"
    shutil.copytree(made.student, archive)
    (said,) = printed(python, archive / "exercises" / made.notebooks[0].name, 1)
    assert said == (
        f"genlab 0.0.9 is installed here, and this notebook needs {__version__}. Run this in a "
        f"cell, then restart the kernel: %pip install ../{WHEEL}\n"
    )
    assert (site / "genlab" / "__init__.py").read_text() == '__version__ = "0.0.9"\n'


# Instructors


def nbgrader(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Stock nbgrader, as in an environment that is activated: it calls alembic by name."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
    env["JUPYTER_CONFIG_DIR"] = str(folder / "no-config")
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_nbgrader_makes_the_students_notebooks_of_the_instructor_archive(online, tmp_path):
    folder = tmp_path / "course"
    shutil.copytree(online.instructor, folder)
    command = re.search(r"nbgrader (generate_assignment \S+)", (folder / "README.md").read_text())
    done = nbgrader(folder, *command[1].replace('"', "").split())
    assert done.returncode == 0, done.stderr[-3000:]
    for file in online.notebooks:
        released = folder / "release" / file.stem / file.name
        assert sources(released) == sources(file)
        assert checksums(released) == checksums(file)


def test_nbgrader_finds_the_solved_notebook_right(made):
    name = chapters(made.root)[0]
    done = nbgrader(made.instructor, "validate", f"source/{name}/{name}.ipynb")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Success! Your notebook passes all the tests." in done.stdout


def test_nbgrader_takes_the_metadata_of_every_notebook(made, online):
    files = [f for m in (made, online) for f in (m.instructor.rglob("*.ipynb"))]
    files += [f for m in (made, online) for f in m.notebooks]
    assert len(files) == 2 * len(made.notebooks) + 2 * len(online.notebooks)
    for file in files:
        nb = nbformat.read(file, 4)
        nbformat.validate(nb)
        MetadataValidator().validate_nb(nb)


def test_the_marks_are_those_of_the_plan(online):
    with (online.instructor / "marks.csv").open(newline="", encoding="utf8") as opened:
        rows = list(csv.DictReader(opened))
    for name, chapter in online.plan.chapters.items():
        mine = [row for row in rows if row["chapter"] == name]
        points = dict.fromkeys(chapter.points, 0)
        for row in mine:
            points[row["exercise"]] += int(row["points"])
        assert points == chapter.points
        assert {row["due"] for row in mine} == {chapter.due.isoformat() if chapter.due else ""}
        cells = nbformat.read(online.instructor / "source" / name / f"{name}.ipynb", 4).cells
        graded = [c.metadata.nbgrader for c in cells if c.metadata.get("nbgrader", {}).get("grade")]
        assert [row["grade_id"] for row in mine] == [check.grade_id for check in graded]


def test_instructors_get_the_sources_with_the_wrong_answers(online):
    for name in online.plan.chapters:
        source = notebooks.read(online.instructor / "solutions" / f"{name}.py")
        assert notebooks.wrong_answers(source)
        solved = nbformat.read(online.instructor / "source" / name / f"{name}.ipynb", 4)
        text = "\n".join(cell.source for cell in solved.cells)
        assert "### BEGIN SOLUTION" in text
        assert "### BEGIN HIDDEN TESTS" in text
    text = (online.instructor / "README.md").read_text(encoding="utf8")
    listed = set(re.findall(r"^- `([\w.]+)", text, re.MULTILINE))
    assert listed == {p.name for p in online.instructor.iterdir()} - {"README.md"}
