"""The ``genlab`` command."""

import argparse
import sys
from pathlib import Path

from genlab import __version__
from genlab.course.root import CourseError, find_root


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; 0 when all is well, 1 with a sentence on stderr when not."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except CourseError as error:
        print(f"genlab {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"genlab {args.command}: interrupted", file=sys.stderr)
        return 130


def _build(args: argparse.Namespace) -> int:
    from genlab.course.site import build

    build(find_root())
    return 0


def _notebooks(args: argparse.Namespace) -> int:
    from genlab.course.notebooks import check, write

    (check if args.check else write)(find_root(), args.chapter)
    return 0


def _release(args: argparse.Namespace) -> int:
    from genlab.course.release.cut import release

    release(find_root(), args.version, args.out)
    return 0


def _grade(args: argparse.Namespace) -> int:
    from genlab.course.grade.confine import Limits
    from genlab.course.grade.run import run

    sys.stdout.reconfigure(errors="replace")  # a student's name, on whatever terminal
    limits = Limits(args.seconds, args.megabytes)
    run(args.submissions, args.release, args.out, jobs=args.jobs, dask=args.dask, limits=limits)
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from genlab.course.doctor import examine

    return 0 if examine() else 1


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genlab",
        description="Build the course on generative models and keep its notebooks in step.",
        epilog="Run a command in the folder that you cloned, or below it.",
    )
    parser.add_argument("--version", action="version", version=f"genlab {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser(
        "build",
        help="build the website in _build/html",
        description="Build the website in _build/html: run the chapters whose code or genlab "
        "modules changed, as many at once as there are processors, say why each runs, write the "
        "pages, and check that no solution and no request to another host is in them. A failing "
        "cell or any warning fails the build; where CI is set, so does a chapter over its budget "
        "of time.",
    )
    build.set_defaults(run=_build)

    notebooks = commands.add_parser(
        "notebooks",
        help="derive exercises/*.ipynb and solutions/*.ipynb from solutions/*.py",
        description="Derive the two notebooks of a chapter from its source solutions/NN_slug.py: "
        "the exercises (solutions and hidden tests cut out) and the executed solutions.",
    )
    notebooks.add_argument(
        "chapter", nargs="*", help="numbered slugs such as 01_density (default: all chapters)"
    )
    notebooks.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail if a notebook differs from what would be written",
    )
    notebooks.set_defaults(run=_notebooks)

    release = commands.add_parser(
        "release",
        help="cut a release for a class: site, notebooks, solutions, slides, book",
        description="Build OUT/VERSION from the commit that is checked out and from course.toml: "
        "the site, the students' and the instructors' archive, slides, the printed edition, the "
        "notes and a manifest. It appears all at once or not at all, and not if a line of a "
        "solution stands where students would find it.",
    )
    release.add_argument("--version", required=True, help="the name of the release, as 2027.1")
    release.add_argument(
        "--out", type=Path, default=Path("dist"), help="the folder of the releases (default: dist)"
    )
    release.set_defaults(run=_release)

    grade = commands.add_parser(
        "grade",
        help="grade a folder of notebooks that students handed in",
        description="Grade the notebooks below SUBMISSIONS by the instructors' archive of a "
        "release. A student's functions run in a sandbox, the checks in the grader's process. "
        "OUT gets a summary, a feedback page and a JSON result for each notebook, and tables for "
        "Canvas and Moodle. Run it again after an interruption: what is graded stays.",
    )
    grade.add_argument(
        "submissions",
        type=Path,
        metavar="SUBMISSIONS",
        help="a folder with a folder, a notebook or an archive for each student, or with what "
        "Moodle, Canvas or nbgrader collected",
    )
    grade.add_argument(
        "--release", type=Path, required=True, help="the folder of the release, as dist/2027.1"
    )
    grade.add_argument(
        "--out", type=Path, default=Path("grades"), help="where to write (default: grades)"
    )
    grade.add_argument(
        "--jobs", type=_count, default=1, help="notebooks graded at once (default: 1)"
    )
    grade.add_argument(
        "--dask", metavar="ADDRESS", help="grade on a dask cluster, as tcp://scheduler:8786"
    )
    grade.add_argument(
        "--seconds",
        type=_count,
        default=120,
        help="after which the check of an exercise is ended (default: 120)",
    )
    grade.add_argument(
        "--megabytes",
        type=_count,
        default=2048,
        help="of memory for a student's process, beyond what Python and torch take (default: 2048)",
    )
    grade.set_defaults(run=_grade)

    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, what is missing, and what to do",
        description="Say what is installed, what is missing, and what to do. "
        "Fails if something is missing that the course cannot do without.",
    )
    doctor.set_defaults(run=_doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
