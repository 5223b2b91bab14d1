"""A release: what it refuses, that it appears at once, and that the same commit gives it again."""

import errno
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from small import commit, contents, git, small_course
from test_site import pytestmark  # noqa: F401  Chromium and npm are needed here too

import genlab
from genlab.course import cli, notebooks
from genlab.course.release import staging
from genlab.course.release.archive import zipped
from genlab.course.release.cut import release
from genlab.course.release.notes import notes
from genlab.course.release.plan import read
from genlab.course.root import CourseError

FILES = {
    "genlab-2027.1-book.pdf",
    "genlab-2027.1-instructor.zip",
    "genlab-2027.1-site.zip",
    "genlab-2027.1-slides.zip",
    "genlab-2027.1-student.zip",
    "manifest.json",
    "notes.md",
}


def command(root: Path, out: Path, version: str = "2027.1") -> dict:
    """The arguments of a process that cuts a release with the package of the course itself."""
    env = os.environ | {"PYTHONPATH": str(root)}
    argv = [sys.executable, "-m", "genlab.course.cli", "release", "--version", version]
    return {"args": [*argv, "--out", out], "cwd": root, "env": env}


def cut(root: Path, out: Path, version: str = "2027.1") -> subprocess.CompletedProcess:
    return subprocess.run(**command(root, out, version), capture_output=True, text=True)


def clone(course: Path, folder: Path) -> Path:
    git(course, "clone", "--quiet", str(course), str(folder / "course"))
    return folder / "course"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    return small_course(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def undisturbed(course) -> tuple[Path, float]:
    """The release of the small course, and how many seconds it took."""
    start = time.monotonic()
    done = cut(course, course.parent / "dist")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return course.parent / "dist" / "2027.1", time.monotonic() - start


@pytest.fixture(scope="module")
def released(undisturbed) -> Path:
    """The release of the small course."""
    return undisturbed[0]


# --- All at once or not at all -----------------------------------------------------------------

WRITER = """
import json, os, signal, sys
from pathlib import Path
from genlab.course.release import staging

moment = lines = 0

def trace(frame, event, argument):
    global lines
    if frame.f_code.co_filename not in (staging.__file__, "<string>"):
        return None
    if event == "line":
        lines += 1
        if lines == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

def write(out, text):
    with staging.scratch(out) as (hidden, run):
        new = hidden / "2027.1"
        new.mkdir()
        for name in "abcdefghijklmnop":
            (new / name).write_text(text)
        staging.publish(new, out / "2027.1")

ended = []
for out, text, moment in json.loads(sys.argv[1]):
    if not (child := os.fork()):  # a process of its own, and no Python to start
        sys.settrace(trace)
        write(Path(out), text)
        sys.settrace(None)
        os._exit(lines)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(ended))
"""


def write(*writers: tuple[Path, str, int]) -> list[int]:
    """Publish sixteen files that all hold a text, one writer after the other.

    A writer is killed at its line, if that is not 0. Returns how each ended: the number of lines
    that it went through, or the negative number of the signal.
    """
    told = json.dumps([(str(out), text, moment) for out, text, moment in writers])
    argv = [sys.executable, "-c", WRITER, told]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(done.stdout)


def swept(out: Path) -> None:
    """Wait until what was hidden is gone."""
    until = time.monotonic() + 30
    while list(out.glob(f"{staging.HIDDEN}*")):
        assert time.monotonic() < until, f"litter: {os.listdir(out)}"
        time.sleep(0.02)


@pytest.mark.parametrize("there", [False, True], ids=["nothing before", "an old one before"])
def test_killed_at_any_of_fifty_lines_there_is_the_old_release_or_the_new_one(tmp_path, there):
    if there:
        write((tmp_path / "old", "old", 0))
        shutil.copytree(tmp_path / "old", tmp_path / "try")
    (lines,) = write((tmp_path / "try", "new", 0))
    assert lines >= 50
    # Fifty in both cases together, from the first line to the last.
    killed = [
        (tmp_path / f"{k}" / "dist", "new", 1 + round(k * (lines - 1) / 24)) for k in range(25)
    ]
    for out, _, _ in killed if there else ():
        shutil.copytree(tmp_path / "old", out)
    assert write(*killed) == [-signal.SIGKILL] * 25
    seen = set()
    for out, _, _ in killed:
        swept(out)
        found = contents(out) if out.exists() else {}
        texts = set(found.values())
        seen |= texts or {b""}
        assert texts in ([{b"old"}, {b"new"}] if there else [set(), {b"new"}])
        assert len(found) == (16 if texts else 0)
        assert out.exists() is bool(texts)
        assert not texts or os.listdir(out) == ["2027.1"]
    assert seen == {b"old" if there else b"", b"new"}


def test_children_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import sys; from pathlib import Path; from genlab.course.release import staging\n"
        "with staging.scratch(Path(sys.argv[1])) as (hidden, run):\n"
        "    run([sys.executable, '-c', 'import os, sys, time; print(os.getpid(), flush=True);'\n"
        "         'time.sleep(600)'])\n"
    )
    out = tmp_path / "dist"
    with subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
        parent.stdout.read()  # to its end: child and sweeper held it too
    assert not Path(f"/proc/{child}").exists() or "State:\tZ" in state(child)
    assert not out.exists()  # it was made for this release


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"


def test_an_error_leaves_nothing_and_what_others_wrote_stays(tmp_path):
    out = tmp_path / "a" / "dist"
    with pytest.raises(ZeroDivisionError), staging.scratch(out) as (hidden, _):
        (hidden / "half").write_text(f"{1 / 0}")
    assert not (tmp_path / "a").exists()
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ZeroDivisionError), staging.scratch(out) as (hidden, _):
        (hidden / "half").write_text(f"{1 / 0}")
    assert contents(out) == {"mine.txt": b"mine"}


def test_what_a_machine_that_went_down_left_is_swept_by_the_next(tmp_path):
    left = tmp_path / f"{staging.HIDDEN}12345"
    left.mkdir()
    (left / "half").write_text("half")
    with staging.scratch(tmp_path):
        assert not left.exists()


def test_one_release_at_a_time(tmp_path):
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(CourseError, match="another release is being written"):
        staging.scratch(tmp_path).__enter__()
    os.close(lock)
    assert os.listdir(tmp_path) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "dist").write_text("")
    with pytest.raises(CourseError, match="cannot be a folder"):
        staging.scratch(tmp_path / "dist").__enter__()
    assert contents(tmp_path) == {"dist": b""}


def test_a_folder_into_which_nothing_can_be_written_is_refused():
    with pytest.raises(CourseError, match="cannot be a folder that a release is written into"):
        staging.scratch(Path("/proc")).__enter__()


def test_a_full_disk_is_named_and_other_faults_are_not_hidden(tmp_path):
    full = f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}"
    for error in (OSError(errno.ENOSPC, "full"), shutil.Error([("a", "b", full)])):
        with pytest.raises(CourseError, match="no space is left"), staging.scratch(tmp_path):
            raise error
    with pytest.raises(FileNotFoundError), staging.scratch(tmp_path / "other") as (hidden, _):
        (hidden / "what").read_text()
    assert os.listdir(tmp_path) == []


# --- Archives ----------------------------------------------------------------------------------


def test_an_archive_depends_on_its_files_and_the_hour_only(tmp_path):
    when = datetime(2027, 1, 4, 9, 0, 1, tzinfo=timezone(timedelta(hours=1)))
    for name, mode, order in (("a", 0o600, "xyz"), ("b", 0o644, "zyx")):
        for file in order:
            path = tmp_path / name / "deep" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)
            path.chmod(mode)
        zipped(tmp_path / name, tmp_path / f"{name}.zip", when, "top")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [f"top/deep/{file}" for file in "xyz"]
        assert {entry.date_time for entry in archive.infolist()} == {(2027, 1, 4, 8, 0, 0)}
        archive.extractall(tmp_path / "out")
    assert contents(tmp_path / "out" / "top") == contents(tmp_path / "a")
    zipped(tmp_path / "a", tmp_path / "c.zip", when + timedelta(hours=1), "top")
    assert (tmp_path / "c.zip").read_bytes() != (tmp_path / "a.zip").read_bytes()


# --- What is refused, before anything is written -----------------------------------------------


@pytest.mark.parametrize("version", ["", "a b", "../2027", ".hidden", "x" * 41])
def test_a_version_is_a_name(course, tmp_path, version):
    with pytest.raises(CourseError, match=r"such as 2027\.1"):
        release(course, version, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_changed_checkout_is_refused_and_every_change_is_named(course, tmp_path):
    root = clone(course, tmp_path)
    (root / "book" / "notation.md").write_text("# Other\n")
    (root / "book" / "new page.md").write_text("# New\n")
    with pytest.raises(CourseError, match="the checkout is not clean") as refusal:
        release(root, "2027.1", tmp_path / "dist")
    assert "book/notation.md" in str(refusal.value)
    assert "new page.md" in str(refusal.value)
    assert not (tmp_path / "dist").exists()


def test_a_folder_that_is_no_release_is_never_replaced(course, tmp_path):
    mine = tmp_path / "dist" / "2027.1" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(CourseError, match="is not a release"):
        release(course, "2027.1", tmp_path / "dist")
    assert contents(tmp_path) == {"dist/2027.1/thesis.txt": b"mine"}


def test_a_link_in_the_place_of_a_release_is_never_replaced(course, released, tmp_path):
    (tmp_path / "2027.1").symlink_to(released)
    with pytest.raises(CourseError, match="is not a release"):
        release(course, "2027.1", tmp_path)


def test_a_release_that_would_make_the_checkout_unclean_is_refused(course):
    with pytest.raises(CourseError, match=r"lies in the checkout.*--out dist"):
        release(course, "2027.1", course / "book" / "dist")
    with pytest.raises(CourseError, match="this genlab is installed from"):  # a later refusal
        release(course, "2027.1", course / "book" / ".." / "dist")


def test_a_shallow_clone_does_not_know_the_release_before(course, tmp_path):
    root = clone(course, tmp_path)
    git(root, "tag", "release-2026.2")
    (root / "book" / "notation.md").write_text("# Notation\n")
    commit(root, "Less")
    git(root, "clone", "--quiet", "--depth=1", root.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(CourseError, match="git fetch --unshallow --tags"):
        release(tmp_path / "shallow", "2027.1", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def here(root: Path, out: Path, monkeypatch, version: str = "2027.1") -> int:
    """Cut a release in this process, as if this genlab were that of the course."""
    monkeypatch.setattr(genlab, "__file__", str(root / "genlab" / "__init__.py"))
    monkeypatch.chdir(root)
    return cli.main(["release", "--version", version, "--out", str(out)])


def test_a_link_that_leads_out_of_the_repository_is_refused(course, tmp_path, monkeypatch, capsys):
    root = clone(course, tmp_path)
    (root / "mine").symlink_to(tmp_path)
    commit(root, "A link")
    assert here(root, tmp_path / "dist", monkeypatch) == 1
    refusal = "genlab release: mine leads out of the repository"
    assert capsys.readouterr().err.startswith(refusal)
    assert not (tmp_path / "dist").exists()


def test_without_the_files_that_npm_fetches_nothing_is_begun(course, tmp_path, monkeypatch, capsys):
    nowhere = {"cache": tmp_path / "npm", "registry": "http://127.0.0.1:9", "fetch_retries": "0"}
    for key, value in nowhere.items():
        monkeypatch.setenv(f"npm_config_{key}", str(value))
    assert here(clone(course, tmp_path), tmp_path / "dist", monkeypatch) == 1
    said = capsys.readouterr()
    assert "npm could not fetch MathJax" in said.err
    assert "2/5" not in said.out
    assert not (tmp_path / "dist").exists()


def test_without_a_repository_there_is_no_commit_to_name(course, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(course, root, ignore=shutil.ignore_patterns(".git"))
    with pytest.raises(CourseError, match="is no git repository"):
        release(root, "2027.1", tmp_path / "dist")


def test_a_package_that_changed_needs_a_version_of_its_own(course, tmp_path):
    root = clone(course, tmp_path)
    git(root, "tag", "release-2026.2")
    module = root / "genlab" / "laws" / "__init__.py"
    module.write_text(module.read_text() + "# Another line.\n")
    commit(root, "A law is other")
    with pytest.raises(CourseError, match=r"genlab/ changed since release-2026\.2.*Raise __ver"):
        release(root, "2027.1", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("lost", ["git", "npm", "chromium"])
def test_what_the_machine_lacks_is_named(course, tmp_path, monkeypatch, lost):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in {"git", "npm", "node", "chromium"} - {lost}:
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(CourseError, match=r"(?i)install") as refusal:
        release(course, "2027.1", tmp_path / "dist")
    assert lost in str(refusal.value).lower()
    assert not (tmp_path / "dist").exists()


def test_the_package_of_another_checkout_is_refused(course, tmp_path):
    with pytest.raises(CourseError, match="this genlab is installed from"):
        release(course, "2027.1", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_the_command_says_why_on_stderr(course, tmp_path, monkeypatch, capsys):
    assert here(course, tmp_path / "dist", monkeypatch, "a b") == 1
    said = capsys.readouterr()
    assert said.err.startswith("genlab release: --version must be letters")
    assert said.out == ""


# --- The release -------------------------------------------------------------------------------


def test_a_release_holds_what_its_manifest_says(course, released):
    assert set(os.listdir(released)) == FILES
    about = json.loads((released / "manifest.json").read_text())
    assert set(about["files"]) == FILES - {"manifest.json"}
    for name, said in about["files"].items():
        data = (released / name).read_bytes()
        assert said == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert about["version"] == "2027.1"
    assert about["commit"] == git(course, "rev-parse", "HEAD").strip()
    assert about["date"] == "2027-01-04T09:00:00+00:00"
    assert about["chapters"] == {
        name: {"points": {f"{n}.1": 2, f"{n}.2": 3}, "due": None}
        for n, name in ((1, "01_density"), (2, "02_divergences"))
    }
    assert {"torch", "numpy", "jupyter-book", "sphinx", "matplotlib"} <= set(about["dependencies"])


def test_the_archives_hold_what_they_are_for(released):
    def names(kind: str) -> set[str]:
        with zipfile.ZipFile(released / f"genlab-2027.1-{kind}.zip") as archive:
            assert archive.testzip() is None
            return set(archive.namelist())

    assert {"index.html", ".nojekyll", "book/01_density.html"} <= names("site")
    assert "genlab-2027.1/exercises/01_density.ipynb" in names("student")
    assert not any("solution" in name or "test" in name for name in names("student"))
    assert "source/01_density/01_density.ipynb" in names("instructor")
    assert {"index.html", "01_density.html"} <= names("slides")


def test_killed_at_a_random_one_of_fifty_moments(course, undisturbed, tmp_path):
    """The whole command, with the children that it has just then; all files of the old one differ.

    Undisturbed, the same commit gives the same bytes: ``test_teach.py`` shows it.
    """
    released, seconds = undisturbed
    new = contents(released.parent)
    out = tmp_path / "dist"
    shutil.copytree(released.parent, out)
    for file in (out / "2027.1").iterdir():
        file.write_bytes(b"old")
    old = contents(out)
    root = clone(course, tmp_path)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    given = command(root, out)
    given["env"] |= {"TMPDIR": str(temporary)}
    moment = random.randrange(50)
    print(f"killed at moment {moment} of 50 in {seconds:.0f} s")
    with subprocess.Popen(
        **given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            process.wait(seconds * (moment + 0.5) / 50)
        except subprocess.TimeoutExpired:
            process.kill()
    swept(out)
    assert contents(out) in (old, new)
    assert os.listdir(out) == ["2027.1"]
    assert git(root, "status", "--porcelain") == ""
    assert os.listdir(temporary) == []
    until = time.monotonic() + 30
    while left := at_work_in(out):
        assert time.monotonic() < until, f"still running: {left}"
        time.sleep(0.05)
    swept(out)  # nor did one of them write after the sweep


def at_work_in(folder: Path) -> list[str]:
    """Commands of the processes that were told of a folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if f"{folder}/{staging.HIDDEN}" in f"{line} {where}":
            found.append(line)
    return found


def test_a_solution_on_a_page_stops_the_release_and_leaves_nothing(
    course, tmp_path, monkeypatch, capsys
):
    root = clone(course, tmp_path)
    page = root / "book" / "notation.md"
    page.write_text("# Notation\n\n`doubled_number_of_density = x + x`\n")
    commit(root, "A slip")
    assert here(root, tmp_path / "dist", monkeypatch) == 1
    refusal = capsys.readouterr().err
    assert "notation.html" in refusal
    assert "solutions/01_density.py" in refusal
    assert not (tmp_path / "dist").exists()


def test_the_notes_name_what_changed_since_the_tag_before(course, tmp_path):
    root = clone(course, tmp_path)
    when = datetime(2027, 1, 4, tzinfo=UTC)
    first = notes(root, read(root), "2027.1", "abc" * 14, when)
    assert first.startswith("# ")
    assert "The first release." in first
    git(root, "tag", "release-2027.1")
    assert notes(root, read(root), "2027.1", "abc" * 14, when) == first  # its own tag says nothing
    source = root / "solutions" / "01_density.py"
    source.write_text(source.read_text().replace("doubles a number", "doubles any number"))
    notebooks.write(root, ["01_density"])
    log = root / "CHANGELOG.md"
    log.write_text(log.read_text() + "- Exercise 1.1 says any.\n")
    commit(root, "Say any")
    second = notes(root, read(root), "2027.2", "abc" * 14, when)
    assert "Since 2027.1:" in second
    assert "- Exercise 1.1 says any." in second
    assert "- Density estimation: exercise 1.1" in second
    assert "- Two chapters." not in second
    assert "1.2" not in second.split("## What is in it")[0]


def test_the_notes_name_another_selection_and_another_date(course, tmp_path):
    root = clone(course, tmp_path)
    plan, when = root / "course.toml", datetime(2027, 1, 4, tzinfo=UTC)
    chapter = "[chapters.01_density]\n"
    plan.write_text(chapter)
    commit(root, "All of it")
    git(root, "tag", "release-2027.1")
    plan.write_text(f'{chapter}exercises = ["1.1"]\ndue = 2027-02-12T23:59:00+01:00\n')
    commit(root, "One of it")
    said = notes(root, read(root), "2027.2", "abc" * 14, when)
    due = "Friday 12 February 2027, 23:59 (UTC+01:00)"
    assert f"- 01_density: due {due}, before at no date" in said
    assert "- 01_density: the exercises are other than before" in said
    assert f"| Density estimation | 1.1 | 2 | {due} |" in said
