"""Grading a class: submissions a minute with one process and with two, overhead and memory.

python -m benchmarks.grading            200 notebooks of chapter 01
python -m benchmarks.grading 07_autoregressive 20
"""

import random
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from benchmarks import record
from genlab.course import notebooks
from genlab.course.grade.run import run

SHARES = {"right": 0.6, "left out": 0.15, "wrong": 0.25}


def answered(chapter: str, chance: random.Random) -> NotebookNode:
    """A student's notebook: each answer is right, left out, or one of the known wrong ones."""
    source = notebooks.read(record.ROOT / "solutions" / f"{chapter}.py")
    wrong: dict[int, list[str]] = {}
    for at, cell in notebooks.wrong_answers(source):
        wrong.setdefault(at, []).append(cell.source)
    stubs = {cell.id: cell.source for cell in notebooks.exercise(source, chapter).cells}
    for i, cell in enumerate(source.cells):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            (kind,) = chance.choices(list(SHARES), list(SHARES.values()))
            if kind == "left out":
                cell.source = stubs[cell.id]
            elif kind == "wrong" and i in wrong:
                cell.source = chance.choice(wrong[i])
    return notebooks.solution(source)


def graded(folder: Path, release: Path, out: Path, jobs: int) -> dict:
    """Time and memory of a run."""
    start = time.perf_counter()
    results = run(folder, release, out, jobs=jobs)
    seconds = time.perf_counter() - start
    points = sum(one["points"] for one in results) / sum(one["of"] for one in results)
    return {
        "submissions_a_minute": 60 * len(results) / seconds,
        "seconds_a_submission": seconds * jobs / len(results),
        "share_of_points": points,
    }


def main(chapter: str = "01_density", number: str = "200") -> None:
    """Grade the class once with one process and once with two, and one empty notebook."""
    n, chance = int(number), random.Random(0)
    source = notebooks.read(record.ROOT / "solutions" / f"{chapter}.py")
    record.one_thread()
    environment = record.environment("genlab", "torch", "nbformat")
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        with zipfile.ZipFile(here / "x-instructor.zip", "w") as archive:
            text = nbformat.writes(notebooks.solution(source))
            archive.writestr(f"source/{chapter}/{chapter}.ipynb", text)
        for i in range(n):
            file = here / "class" / f"student {i}" / f"{chapter}.ipynb"
            file.parent.mkdir(parents=True)
            file.write_text(nbformat.writes(answered(chapter, chance)))
        file = here / "nothing" / "student" / f"{chapter}.ipynb"
        file.parent.mkdir(parents=True)
        file.write_text(nbformat.writes(notebooks.exercise(source, chapter)))
        setting = {"chapter": chapter, "submissions": n, **SHARES}
        runs = [
            {"what": "grading a class", "setting": {**setting, "processes": jobs}, "targets": []}
            | graded(here / "class", here / "x-instructor.zip", here / f"out{jobs}", jobs)
            for jobs in (1, 2)
        ]
        empty = graded(here / "nothing", here / "x-instructor.zip", here / "out0", 1)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    runs.append(
        {
            "what": "grading a notebook in which nothing is solved",
            "setting": {"chapter": chapter, "processes": 1},
            "seconds_a_submission": empty["seconds_a_submission"],
            "bytes_of_the_largest_process": most,
            "targets": [],
        }
    )
    for measurement in runs:
        print(measurement)
    record.save("grading", {"family": "grading", **environment, "measurements": runs})


if __name__ == "__main__":
    main(*sys.argv[1:])
