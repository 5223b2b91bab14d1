"""``genlab release``: from a clean checkout to a folder that an instructor can hand out."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import genlab
from genlab.course import audit, notebooks, site
from genlab.course.release import launch
from genlab.course.release.archive import zipped
from genlab.course.release.instructor import instructor
from genlab.course.release.manifest import manifest
from genlab.course.release.notes import notes, tag_before
from genlab.course.release.plan import Plan, read
from genlab.course.release.printed import chromium, printed
from genlab.course.release.select import select
from genlab.course.release.slides import slides
from genlab.course.release.staging import publish, scratch
from genlab.course.release.student import build_wheel, student
from genlab.course.root import CourseError

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,39}")


def release(root: Path, version: str, out: Path) -> Path:
    """Build the release ``out/version`` from the commit that is checked out, and return it.

    Raises:
        CourseError: what is given, the checkout or the machine is not ready (nothing is written);
            a step fails, or a solution would be published (nothing is left).
    """
    start = time.perf_counter()
    place = out.absolute() / version
    plan = _ready(root, version, place)
    commit = _git(root, "rev-parse", "HEAD")
    when = datetime.fromtimestamp(int(_git(root, "log", "-1", "--format=%ct")), UTC)
    with scratch(out.absolute()) as (hidden, run), _environment(hidden, when):
        course = _staged(root, hidden, run)
        result = hidden / version
        _fill(result, root, course, plan, version, when, run)
        (result / "notes.md").write_text(notes(root, plan, version, commit, when), encoding="utf8")
        if found := list(audit.leaks(audit.secrets(root), result)):
            raise CourseError("this must not be handed out:\n  " + "\n  ".join(found))
        _pack(result, "instructor", when, lambda to: instructor(course, plan, version, to))
        about = manifest(result, plan, version, commit, when)
        (result / "manifest.json").write_text(about, encoding="utf8")
        publish(result, place)
    for file in sorted(place.iterdir()):
        print(f"  {file.stat().st_size / 1e6:8.2f} MB  {file.name}")
    _say(f"{place} is complete after {time.perf_counter() - start:.0f} s")
    return place


def _ready(root: Path, version: str, place: Path) -> Plan:
    """The plan, if everything is there that a release needs."""
    if not _VERSION.fullmatch(version):
        raise CourseError(
            f"--version must be letters, digits and . + -, such as 2027.1; it is {version!r}."
        )
    if place.exists() and not (place / "manifest.json").is_file():
        raise CourseError(
            f"{place} is there and is not a release (it has no manifest.json). Name another --out, "
            "or move it away."
        )
    if not (root / ".git").exists():
        raise CourseError(f"a release is cut from a commit, and {root} is no git repository.")
    if changed := _git(root, "status", "--porcelain", strip=False):
        raise CourseError(
            "the checkout is not clean, so a release could not be made again. Commit these, or "
            f"put them away (git stash --include-untracked):\n{changed.rstrip()}"
        )
    if (old := tag_before(root, version)) and _same_version(root, old):
        raise CourseError(
            f"genlab/ changed since {old}, and its version did not: students could not tell the "
            f'two packages apart. Raise __version__ = "{genlab.__version__}" in '
            "genlab/__init__.py and commit."
        )
    if not shutil.which("npm"):
        raise CourseError("npm fetches what sets formulas and slides. Install Node.js first.")
    chromium()
    if Path(genlab.__file__).parents[1] != root:
        raise CourseError(
            f"this genlab is installed from {Path(genlab.__file__).parents[1]}, not from {root}. "
            "Run the one of this checkout: .venv/bin/genlab release …"
        )
    return read(root)


def _same_version(root: Path, old: str) -> bool:
    """Whether the package is another than at a tag, under the same version."""
    there = _git(root, "show", f"{old}:genlab/__init__.py")
    return (
        f'"{genlab.__version__}"' in there and _git(root, "diff", old, "HEAD", "--", "genlab") != ""
    )


def _staged(root: Path, hidden: Path, run: Callable) -> Path:
    """The tree of the commit in a folder of its own, with what was fetched and run before."""
    course = hidden / "course"
    tar = hidden / "course.tar"
    run(["git", "-C", root, "archive", "--format=tar", "-o", tar, "HEAD"], check=True)
    with tarfile.open(tar) as archive:
        archive.extractall(course, filter="data")
    tar.unlink()
    # Both are taken only where they fit: by the lock file, and by what each page depends on.
    for lent in ("book/_static/vendor", "_build/.jupyter_cache"):
        if (root / lent).is_dir():
            shutil.copytree(root / lent, course / lent)
    return course


def _fill(result: Path, root: Path, course: Path, plan: Plan, version: str, when, run) -> None:
    """Write what everybody may have."""
    result.mkdir()
    _say("1/5 the selection of course.toml")
    select(course, plan)
    notebooks.check(course)
    wheel = build_wheel(course, result.parent, run)
    launch.prepare(course, plan, wheel.name)
    _say("2/5 the site")
    html = site.pages(course, audit.secrets(root), run).parent
    _pack(result, "site", when, lambda to: _public(html, to))
    _say("3/5 the student archive")
    _pack(
        result,
        "student",
        when,
        lambda to: student(course, plan, version, wheel, to),
        top=f"genlab-{version}",
    )
    _say("4/5 slides")
    _pack(result, "slides", when, lambda to: slides(course, html, to))
    _say("5/5 the printed edition")
    printed(course, result / f"genlab-{version}-book.pdf", when, run)


def _pack(result: Path, name: str, when: datetime, write: Callable, top: str = "") -> None:
    """Have ``write`` fill a folder, and make an archive of it."""
    folder = result.parent / name
    folder.mkdir()
    write(folder)
    zipped(folder, result / f"genlab-{result.name}-{name}.zip", when, top)


def _public(html: Path, folder: Path) -> None:
    """The site as a static host takes it, without the notes that Sphinx makes for itself."""
    shutil.copytree(html, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".buildinfo"))
    (folder / ".nojekyll").touch()  # GitHub Pages drops folders named _… without it


@contextmanager
def _environment(hidden: Path, when: datetime) -> Iterator[None]:
    """The hour of the commit for whatever asks for one; temporary files where they are swept."""
    before = dict(os.environ)
    for name in ("tmp", "runtime"):
        (hidden / name).mkdir()
    os.environ |= {
        "SOURCE_DATE_EPOCH": str(int(when.timestamp())),
        "TMPDIR": str(hidden / "tmp"),
        "JUPYTER_RUNTIME_DIR": str(hidden / "runtime"),
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }
    tempfile.tempdir = None  # it remembers
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
        tempfile.tempdir = None


def _git(root: Path, *arguments: str, strip: bool = True) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise CourseError(f"git {arguments[0]} says: {done.stderr.strip()}")
    return done.stdout.strip() if strip else done.stdout


def _say(text: str) -> None:
    print(f"genlab release: {text}", file=sys.stdout, flush=True)
