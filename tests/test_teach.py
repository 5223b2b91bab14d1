"""The instructors' guide, walked through as it is printed, and the workflow that publishes."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml
from small import contents, git, small_course
from test_notebooks import said
from test_site import pytestmark as needs_chromium_and_npm

from genlab.course import audit, notebooks
from genlab.course.release.plan import read

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "teach.md").read_text(encoding="utf8")
WORKFLOW = ROOT / ".github" / "workflows" / "publish.yml"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(PAGE)
COURSE = next(text for language, text in BLOCKS if language == "toml")
# What an instructor does by hand before the block that hands out a repair.
REPAIR = """\
python3 -c 'from pathlib import Path
for name, old, new in (
    ("solutions/01_density.py", "doubles a number", "doubles any real number"),
    ("CHANGELOG.md", "- Two chapters.", "- Two chapters.\\n- Exercise 1.1 says which numbers."),
):
    file = Path(name)
    text = file.read_text()
    assert old in text, name
    file.write_text(text.replace(old, new))'
"""


def scripts() -> tuple[str, str]:
    """The page as a script: its file is written, its commands stand in their order.

    The last block, for "whoever has the commit", is a script of its own.
    """
    lines = []
    for language, text in BLOCKS:
        if language == "toml":
            lines.append(f"cat >course.toml <<'END'\n{text}END\n")
        if language == "sh":
            lines += [REPAIR] if "make notebooks" in text else []
            lines.append(text)
    assert "git switch --quiet --detach release-2027.1" in lines[-1]
    return "".join(lines[:-1]), lines[-1]


def environment(root: Path) -> None:
    """A ``.venv`` as ``make setup`` leaves it, with the packages of the one that runs the tests."""
    venv.create(root / ".venv", symlinks=True)
    here, there = Path(sys.prefix), root / ".venv"
    packages = Path(sysconfig.get_path("purelib"))
    mine = there / packages.relative_to(here)
    (mine / "course.pth").write_text(f"{root}\n{packages}\n")
    for folder in ("share", "etc"):
        (there / folder).symlink_to(here / folder)
    # As pip writes it, since the name of the folder may hold a space.
    begin = f"#!/bin/sh\n'''exec' \"{there}/bin/python\" \"$0\" \"$@\"\n' '''\n".encode()
    for program in (here / "bin").iterdir():
        first, _, rest = program.read_bytes().partition(b"\n")
        if first.startswith(f"#!{here}/bin/python".encode()):
            target = there / "bin" / program.name
            target.write_bytes(begin + rest)
            target.chmod(0o755)
    (there / "installed").touch()


def cloned(course: Path, root: Path) -> None:
    """A clone in which all is installed."""
    git(course, "clone", "--quiet", str(course), str(root))
    shutil.copytree(course / "book/_static/vendor", root / "book/_static/vendor")  # spares npm
    environment(root)


def typed(script: str, root: Path, umask: int = -1, **given: str) -> None:
    """Somebody types the commands in one shell; each succeeds, and the clone is clean after."""
    who = {"NAME": "An instructor", "EMAIL": "instructor@example.org"}
    env = os.environ | {f"GIT_{role}_{k}": who[k] for role in ("AUTHOR", "COMMITTER") for k in who}
    env.pop("PYTHONPATH", None)
    file = root.parent / "script"
    file.write_text(script)
    command = {"args": ["sh", "-ex", file], "cwd": root, "env": env | given, "umask": umask}
    done = subprocess.run(**command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "branch", "--show-current") == "main\n"


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> Path:
    """A clone in which a new instructor typed every command of the page but the last block."""
    folder = tmp_path_factory.mktemp("teach")
    root = folder / "genlab"
    cloned(small_course(folder), root)
    typed(scripts()[0], root)
    return root


@pytest.fixture
def student(taught, tmp_path) -> Path:
    """A student's folder with the first archive unpacked and exercise 1.1 solved."""
    unpack(taught, "2027.1", tmp_path)
    file = tmp_path / "genlab-2027.1" / "exercises" / "01_density.ipynb"
    solve(file)
    return tmp_path


def unpack(root: Path, version: str, folder: Path) -> None:
    with zipfile.ZipFile(root / f"dist/{version}/genlab-{version}-student.zip") as archive:
        archive.extractall(folder)


def solve(file: Path) -> None:
    nb = nbformat.read(file, 4)
    cell = next(cell for cell in nb.cells if "def twice" in cell.source)
    cell.source = "def twice(x):\n    return 2 * x"
    nbformat.write(nb, file)


@needs_chromium_and_npm
def test_the_files_that_the_page_lists_are_there(taught):
    rows = PAGE.split("## How do I cut a release?")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\* - `(.+)`", rows, re.MULTILINE))
    for version in ("2027.1", "2027.2"):
        there = {file.name for file in (taught / "dist" / version).iterdir()}
        assert there == {name.replace("2027.1", version) for name in listed}
    with zipfile.ZipFile(taught / "dist/2027.1/genlab-2027.1-instructor.zip") as archive:
        assert {"quizzes/moodle.xml", "quizzes/canvas.zip"} <= set(archive.namelist())
    for page in ("index", "book/01_density", "book/02_divergences"):
        assert (taught / "dist" / "site" / f"{page}.html").is_file()


@needs_chromium_and_npm
def test_chapters_dates_and_points_are_those_of_the_page(taught):
    about = json.loads((taught / "dist/2027.1/manifest.json").read_text())
    assert about["title"] == "Generative models"
    assert about["term"] == "Spring 2027"
    assert about["chapters"] == {
        "01_density": {"points": {"1.1": 2, "1.2": 3}, "due": "2027-02-12T23:59:00+01:00"},
        "02_divergences": {"points": {"2.1": 2, "2.2": 6}, "due": "2027-02-26"},
    }
    assert about["commit"] == git(taught, "rev-parse", "release-2027.1").strip()


@needs_chromium_and_npm
def test_the_notes_of_the_second_release_name_what_changed(taught):
    notes = (taught / "dist/2027.2/notes.md").read_text()
    assert "Since 2027.1:" in notes
    assert "- Exercise 1.1 says which numbers." in notes
    assert "exercise 1.1" in notes
    assert "exercise 1.2" not in notes
    assert "The first release." in (taught / "dist/2027.1/notes.md").read_text()


@needs_chromium_and_npm
def test_a_new_archive_leaves_the_work_of_students_alone(taught, student):
    before = {file: file.read_bytes() for file in student.rglob("*") if file.is_file()}
    unpack(taught, "2027.2", student)
    assert sorted(os.listdir(student)) == ["genlab-2027.1", "genlab-2027.2"]
    assert {file: file.read_bytes() for file in before} == before
    text = (student / "genlab-2027.2/exercises/01_density.ipynb").read_text()
    assert "doubles any real number" in text


@needs_chromium_and_npm
def test_an_old_notebook_runs_with_the_new_package(taught, student, monkeypatch):
    unpack(taught, "2027.2", student)
    (wheel,) = (student / "genlab-2027.2").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(student / "installed")
    monkeypatch.setenv("PYTHONPATH", str(student / "installed"))
    file = student / "genlab-2027.1/exercises/01_density.ipynb"
    nb = nbformat.read(file, 4)
    nb.cells.append(nbformat.v4.new_code_cell("import genlab\nprint(genlab.__file__)"))
    done = notebooks.executed(nb, file.parent)
    assert done.cells[-1].outputs[0].text.startswith(str(student / "installed"))
    assert list(said(done).values()) == ["1.1 right", "1.2 not attempted"]


@needs_chromium_and_npm
def test_a_pull_keeps_what_a_student_wrote_and_brings_the_repair(taught, tmp_path):
    """As nbgitpuller does it: commit what changed, merge with the option ``ours``."""
    repository = taught.parent / "genlab-students"
    mine = tmp_path / "mine"
    git(repository, "clone", "--quiet", str(repository), str(mine))
    git(mine, "reset", "--quiet", "--hard", "HEAD~1")
    file = mine / "exercises" / "01_density.ipynb"
    assert "doubles a number" in file.read_text()
    solve(file)
    git(mine, "commit", "--quiet", "--all", "--message", "WIP")
    git(mine, "merge", "--quiet", "-Xours", "origin/main")
    nb = nbformat.read(file, 4)
    nbformat.validate(nb)
    text = "\n".join(cell.source for cell in nb.cells)
    assert "return 2 * x" in text
    assert "doubles any real number" in text


@needs_chromium_and_npm
def test_the_repository_for_students_holds_the_new_archive_and_no_solution(taught, tmp_path):
    repository = taught.parent / "genlab-students"
    unpack(taught, "2027.2", tmp_path)
    new = tmp_path / "genlab-2027.2"
    files = {str(f.relative_to(new)) for f in new.rglob("*") if f.is_file()}
    assert set(git(repository, "ls-files").splitlines()) == files
    assert all((repository / f).read_bytes() == (new / f).read_bytes() for f in files)
    assert list(audit.leaks(audit.secrets(taught), repository)) == []


@needs_chromium_and_npm
def test_nbgrader_makes_an_assignment_from_the_instructors_archive(taught):
    course = taught / "dist" / "instructor"
    nb = nbformat.read(course / "release/01_density/01_density.ipynb", 4)
    checks = [c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert [c.metadata.nbgrader.points for c in checks] == [2, 3]
    text = "\n".join(cell.source for cell in nb.cells)
    assert "raise NotImplementedError" in text
    assert "HIDDEN TESTS" not in text
    assert "doubled_number_of_density" not in text
    assert (course / "gradebook.db").is_file()


@needs_chromium_and_npm
def test_two_notebooks_are_graded_as_the_page_says(taught):
    grades = taught / "dist" / "grades"
    found = [json.loads(file.read_text()) for file in sorted(grades.rglob("results/**/*.json"))]
    assert {one["student"]: (one["points"], one["of"]) for one in found} == {
        "ada": (0, 5),
        "ben": (5, 5),
    }
    assert {e["reason"] for e in found[0]["exercises"]} == {"not attempted"}
    pages = {file.parent.parent.name for file in grades.rglob("*.html")}
    assert pages == {"feedback", "dist"}
    assert all((grades / name).is_file() for name in ("canvas.csv", "moodle.csv", "summary.html"))


@needs_chromium_and_npm
def test_whoever_has_the_commit_makes_the_same_bytes_elsewhere(taught, tmp_path):
    """The last block, in another place, with another hour, language, umask and ends of lines."""
    elsewhere = tmp_path / "another place"
    cloned(taught, elsewhere)
    shutil.copytree(taught / "dist" / "2027.1", elsewhere / "dist" / "2027.1")
    git(elsewhere, "config", "core.autocrlf", "true")
    other = {"XDG_CONFIG_HOME": str(tmp_path / "home"), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    typed(scripts()[1], elsewhere, umask=0o077, **other)
    again = contents(elsewhere / "dist" / "again" / "2027.1")
    assert again == contents(taught / "dist" / "2027.1")
    assert len(again) == 7
    assert not (tmp_path / "home" / "chromium").exists()


# --- The page --------------------------------------------------------------------------------


def test_few_commands_of_the_page_are_left_to_the_reader():
    alone = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    commands = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    assert {kind for kind, _ in BLOCKS} == {"sh", "console", "toml"}
    assert all(
        re.match(r"\$ (git .*(clone|push|remote)|cd |python3 -m http|genlab grade .*--dask)", a)
        for a in alone
    )
    assert len(commands) >= 4 * len(alone)


def test_the_file_on_the_page_is_right_for_the_real_course_too(tmp_path):
    for name in ("_toc.yml", "_config.yml", "book", "solutions", "exercises"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "course.toml").write_text(COURSE)
    plan = read(tmp_path)
    given = tomllib.loads(COURSE)
    assert list(plan.chapters) == list(given["chapters"])
    assert plan.chapters["02_divergences"].points == {"2.1": 2, "2.2": 6}
    assert plan.chapters["01_density"].due == given["chapters"]["01_density"]["due"]


def test_what_a_release_says_when_it_refuses_is_what_the_page_explains():
    rows = PAGE.split("## Why does it refuse?")[1].split("\n## ")[0]
    said = re.findall(r"^\* - (.+)", rows, re.MULTILINE)[1:]
    assert len(said) >= 6
    source = "".join(
        re.sub(r'"\s+f?"', "", file.read_text(encoding="utf8"))
        for file in (ROOT / "genlab" / "course").rglob("*.py")
    )
    assert [sentence for sentence in said if sentence.strip("… ") not in source] == []


# --- The workflow ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow() -> dict:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf8"))


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_is_one_for_github():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", WORKFLOW]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_of_the_workflow_is_a_shell_script_of_commands_that_exist(workflow):
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    for text in scripts:
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), text
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"make (\w+)", "\n".join(scripts)))
    assert {"test", "lint"} <= made <= targets
    asked = re.findall(r"genlab (\w+)(.*)", "\n".join(scripts))
    assert {name for name, _ in asked} == {"doctor", "release"}
    for name, options in asked:
        command = [sys.executable, "-m", "genlab.course.cli", name, "--help"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"--\w+", options)) <= set(re.findall(r"--\w+", said))


def test_a_tag_is_released_and_published_and_a_push_is_tested_only(workflow):
    # YAML reads the word `on` as true.
    assert workflow[True]["push"] == {"branches": ["main"], "tags": ["release-*"]}
    assert "workflow_dispatch" in workflow[True]
    course, pages = workflow["jobs"]["course"]["steps"], workflow["jobs"]["pages"]
    tagged = "startsWith(github.ref, 'refs/tags/release-')"
    assert pages["if"] == tagged
    assert all((step.get("if") == tagged) == ("dist" in json.dumps(step)) for step in course), (
        "what a release makes is made for a tag only"
    )
    assert course[0]["with"]["fetch-depth"] == 0


def test_only_the_job_that_runs_no_code_of_the_course_may_write(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["course"]
    assert workflow["jobs"]["pages"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert all("run" not in step for step in workflow["jobs"]["pages"]["steps"])
    assert workflow["jobs"]["pages"]["environment"]["name"] == "github-pages"
    assert workflow["jobs"]["pages"]["concurrency"]["group"] == "pages"


def test_the_instructors_archive_is_never_uploaded(workflow, tmp_path):
    kinds = ("site.zip", "student.zip", "slides.zip", "book.pdf", "instructor.zip")
    result = tmp_path / "dist" / "2027.1"
    result.mkdir(parents=True)
    for name in ("notes.md", "manifest.json", *(f"genlab-2027.1-{kind}" for kind in kinds)):
        (result / name).touch()
    sent = set()
    for step in steps(workflow):
        if "upload" in step.get("uses", ""):
            for pattern in step["with"]["path"].split():
                sent |= {file.name for file in tmp_path.glob(pattern)}
    assert sent == {f.name for f in result.iterdir()} - {"genlab-2027.1-instructor.zip"}
