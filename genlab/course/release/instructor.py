"""The instructor archive: solutions with hidden tests as nbgrader takes them, marks, quizzes."""

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from genlab.course.exercises import parts
from genlab.course.notebooks import dumps
from genlab.course.release import bank
from genlab.course.release.plan import Plan
from genlab.course.release.student import without_book

_CONFIG = """\
c = get_config()  # noqa: F821 - nbgrader gives it

c.CourseDirectory.course_id = "genlab-{version}"
# As in the notebooks of the student archive.
c.ClearSolutions.code_stub = {{"python": "raise NotImplementedError"}}
c.ClearSolutions.text_stub = "*Your answer here.*"
c.Execute.timeout = 120  # seconds a cell
"""

_README = """\
# {title}: for instructors

Release {version}{term}. This archive holds the solutions and the hidden tests. Never publish it.

- `source/NN_slug/NN_slug.ipynb`: the notebook of students with executed solutions and hidden \
tests, where nbgrader looks for it
- `nbgrader_config.py`: makes this folder a course of nbgrader
- `solutions/NN_slug.py`: the text from which both notebooks are made, with the wrong answers that \
each check turns down
- `marks.csv`: every check with its points, its minutes and its date
{quizzes}
## With nbgrader

You need an environment with nbgrader 0.9 and with genlab, whose wheel is in the student archive. \
In this folder:

```sh
nbgrader generate_assignment "*"
```

That enters every chapter into nbgrader's database. It also writes `release/`, in which each \
notebook is cell for cell that of the student archive. What students hand in goes to \
`submitted/STUDENT/NN_slug/NN_slug.ipynb`. Then, for the chapter {first}:

```sh
nbgrader autograde {first}
nbgrader export
```

To grade, `genlab grade SUBMISSIONS --release FOLDER` is the safer way, where FOLDER holds this \
archive; "Teach this course" says how. nbgrader runs the code of students as you, on your \
machine. Do it in a container, or as a user who owns nothing.
"""

_QUIZZES = """\
- `quizzes/`: the questions of the pages, `moodle.xml` for Moodle and `canvas.zip` for Canvas
"""


def instructor(root: Path, plan: Plan, version: str, folder: Path) -> None:
    """Write what the instructor archive holds into ``folder``; the course is prepared."""
    names = [file.stem for file in sorted((root / "exercises").glob("*.ipynb"))]
    for name in names:
        place = folder / "source" / name
        place.mkdir(parents=True)
        (place / f"{name}.ipynb").write_text(dumps(_source(root, name)), encoding="utf8")
    shutil.copytree(
        root / "solutions", folder / "solutions", ignore=shutil.ignore_patterns("*.ipynb")
    )
    marks = io.StringIO()
    csv.writer(marks, lineterminator="\n").writerows(_marks(root, plan, names))
    bank.write(root, plan, folder / "quizzes")
    texts = {
        "README.md": _README.format(
            title=plan.title,
            version=version,
            term=f", {plan.term}" if plan.term else "",
            first=names[0],
            quizzes=_QUIZZES if (folder / "quizzes").is_dir() else "",
        ),
        "nbgrader_config.py": _CONFIG.format(version=version),
        "marks.csv": marks.getvalue(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf8")


def _source(root: Path, name: str) -> NotebookNode:
    """The student's notebook with its solved cells in place of those that nbgrader cuts."""
    nb = without_book(nbformat.read(root / "exercises" / f"{name}.ipynb", 4))
    solved = {c.id: c for c in nbformat.read(root / "solutions" / f"{name}.ipynb", 4).cells}
    nb.cells = [
        solved[c.id]
        if c.id in solved and (c.cell_type == "code" or "nbgrader" in c.metadata)
        else c
        for c in nb.cells
    ]
    return nb


def _marks(root: Path, plan: Plan, names: list[str]) -> Iterator[tuple]:
    yield "chapter", "exercise", "title", "grade_id", "points", "minutes", "due"
    for name in names:
        due = plan.chapters[name].due
        for exercise in parts(nbformat.read(root / "exercises" / f"{name}.ipynb", 4), name)[1]:
            for cell in exercise.checks:
                check = cell.metadata["nbgrader"]
                yield (
                    name,
                    exercise.number,
                    exercise.title,
                    check["grade_id"],
                    check["points"],
                    exercise.minutes,
                    due.isoformat() if due else "",
                )
