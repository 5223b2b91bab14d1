"""A run over a class: each submission in a process of its own, each result kept as it comes."""

import base64
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from genlab.course.grade import feedback, pool, results, statistics
from genlab.course.grade.archive import keys
from genlab.course.grade.confine import Limits
from genlab.course.grade.referee import nothing
from genlab.course.grade.submissions import find
from genlab.course.root import CourseError


def run(
    folder: Path,
    release: Path,
    out: Path,
    *,
    jobs: int = 1,
    dask: str | None = None,
    limits: Limits | None = None,
) -> list[dict]:
    """Grade the submissions in ``folder`` by the key of a release, and write ``out``.

    What an earlier run has graded, and did not change since, is taken as it is.

    Returns:
        The results, in the order of the submissions.

    Raises:
        CourseError: the release, the folders or the cluster is not what it should be.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise CourseError(
            f"{out} lies in {folder}, and would be taken for a submission. Give a folder outside "
            f"of it, such as --out {folder.resolve().parent / 'grades'}"
        )
    limits = limits or Limits()
    by_chapter = keys(release)
    found = find(folder, by_chapter)
    marks = [results.fingerprint(s, by_chapter.get(s.chapter), limits) for s in found]
    places = [results.place(out, s) for s in found]
    done = [results.stored(place, mark) for place, mark in zip(places, marks, strict=True)]
    todo = [i for i, one in enumerate(done) if one is None]
    print(f"{len(found)} submissions, {len(found) - len(todo)} of them graded before.", flush=True)

    def keep(i: int, outcome: dict) -> None:
        submission = found[i]
        done[i] = results.result(submission, by_chapter.get(submission.chapter), marks[i], outcome)
        results.write(places[i], results.dumps(done[i]))
        points = f"{done[i]['points']:g} of {done[i]['of']:g} points"
        ready = len(done) - done.count(None)
        said = f"{ready}/{len(done)} {submission.file}: {done[i]['reason'] or points}"
        # A name or a reason may hold what a terminal would obey.
        print("".join(c if c.isprintable() else "�" for c in said), flush=True)

    work = {}
    for i in todo:
        if found[i].problem:
            keep(i, nothing(found[i].problem))
        else:
            work[i] = {
                "notebook": base64.b64encode(found[i].data).decode(),
                "key": asdict(by_chapter[found[i].chapter]),
                "limits": asdict(limits),
            }
    for i, outcome in pool.on_dask(work, dask) if dask else pool.here(work, jobs):
        keep(i, outcome)
    _write(done, by_chapter, places, out)
    failed = sum(one["reason"] is not None for one in done)
    print(f"{len(done) - failed} graded, {failed} not. Open {out / 'summary.html'}.")
    return done


def _write(done: list[dict], keys: dict, places: Iterable[Path], out: Path) -> None:
    """Pages, tables and statistics."""
    best = {id(one) for one in results.counted(done).values()}
    for one, place in zip(done, places, strict=True):
        path = out / "feedback" / place.relative_to(out / "results").with_suffix(".html")
        results.write(path, feedback.page(one, counts=id(one) in best))
    results.write(out / "canvas.csv", results.table(results.canvas(done, keys)))
    results.write(out / "moodle.csv", results.table(results.moodle(done)))
    results.write(out / "summary.html", statistics.page(done, keys))
