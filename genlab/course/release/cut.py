"""``genlab release``: from a clean checkout to a folder that an instructor can hand out."""

import os
import re
import shutil
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
from genlab.course.assets import vendor
from genlab.course.release import launch
from genlab.course.release.archive import zipped
from genlab.course.release.history import git
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

_NOT_PUBLIC = shutil.ignore_patterns(".buildinfo", "webpack-macros.html")
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
    commit = git(root, "rev-parse", "HEAD")
    seconds = git(root, "log", "-1", "--no-show-signature", "--format=%ct")
    when = datetime.fromtimestamp(int(seconds), UTC)
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
    if place.is_symlink() or (place.exists() and not (place / "manifest.json").is_file()):
        raise CourseError(
            f"{place} is there and is not a release (a folder with a manifest.json). Name another "
            "--out, or move it away."
        )
    if not shutil.which("git"):
        raise CourseError("a release is cut from a commit. Install git first.")
    if not (root / ".git").exists():
        raise CourseError(f"a release is cut from a commit, and {root} is no git repository.")
    if changed := git(root, "status", "--porcelain"):
        raise CourseError(
            "the checkout is not clean, so a release could not be made again. Commit these, or "
            f"put them away (git stash --include-untracked):\n{changed}"
        )
    if place.resolve().is_relative_to(root) and not git(
        root, "check-ignore", place.resolve(), otherwise=""
    ):
        raise CourseError(
            f"--out {place.parent} lies in the checkout, which would not be clean any more. Name a "
            "folder outside, or one that .gitignore names, such as --out dist."
        )
    old = tag_before(root, version)
    if not old and git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise CourseError(
            "this clone is shallow, so nobody can say what changed since the last release. Get "
            "what is missing: git fetch --unshallow --tags"
        )
    if old and _same_version(root, old):
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
    there = git(root, "show", f"{old}:genlab/__init__.py", otherwise="")
    return (
        f'"{genlab.__version__}"' in there and git(root, "diff", old, "HEAD", "--", "genlab") != ""
    )


def _staged(root: Path, hidden: Path, run: Callable) -> Path:
    """The tree of the commit in a folder of its own, with what was fetched and run before."""
    course = hidden / "course"
    tar = hidden / "course.tar"
    command = ["git", "-C", root, "-c", "core.autocrlf=false", "-c", "core.eol=lf", "archive"]
    if run([*command, "--format=tar", "-o", tar, "HEAD"], check=False).returncode:
        raise CourseError("git did not give the files of the commit; it says above why.")
    try:
        with tarfile.open(tar) as archive:
            archive.extractall(course, filter="data")
    except tarfile.FilterError as error:
        raise CourseError(
            f"{error.tarinfo.name} leads out of the repository, so a release could not be made "
            "again. Put the file itself there, and commit."
        ) from error
    tar.unlink()
    # Both are taken only where they fit: by the lock file, and by what each page depends on.
    for lent in ("book/_static/vendor", "_build/.jupyter_cache"):
        if (root / lent).is_dir():
            shutil.copytree(root / lent, course / lent)
    return course


def _fill(result: Path, root: Path, course: Path, plan: Plan, version: str, when, run) -> None:
    """Write what everybody may have."""
    result.mkdir()
    if lost := vendor(course, run):
        raise CourseError(f"without its fonts and formulas no release is made. {lost}")
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
    """The site as a static host takes it, without the notes that Sphinx and its theme keep."""
    shutil.copytree(html, folder, dirs_exist_ok=True, ignore=_NOT_PUBLIC)
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


def _say(text: str) -> None:
    print(f"genlab release: {text}", file=sys.stdout, flush=True)
