"""A class is graded: from folders and downloads to results, pages and tables."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from statistics import correlation

import distributed
import grading
import pytest
from bs4 import BeautifulSoup

from genlab.course.cli import main
from genlab.course.grade import results
from genlab.course.grade.referee import nothing
from genlab.course.grade.run import run
from genlab.course.grade.statistics import items
from genlab.course.grade.submissions import find
from genlab.course.root import CourseError

RIGHT = (grading.SETUP, grading.TWICE, grading.AREA)
SECOND = (
    grading.SETUP,
    "def twice(x):\n    return x ** 2 - 3",
    grading.AREA,
)  # passes what is seen


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of every kind of submission, graded once: the folder of grades."""
    folder = tmp_path_factory.mktemp("class")
    here = folder / "submissions"
    grading.hand_in(here, "ada", *RIGHT)
    grading.hand_in(
        here, "<img src=x onerror=alert(1)>", grading.TWICE, "# <script>alert(2)</script>"
    )
    grading.hand_in(here, "=cmd()", *SECOND)
    grading.hand_in(
        here,
        "Grace Hopper_4711_assignsubmission_file",
        "def twice(x):\n    raise NotImplementedError",
    )
    (here / "hopper_12_34_01_density.ipynb").write_bytes(grading.notebook(*RIGHT))
    # What it says is no text that a file takes, and does things to a terminal.
    loud = "def twice(x):\n    raise ValueError(chr(0xD800) + '\\x1b[31m')"
    grading.hand_in(here, "loud", loud)
    (here / "empty").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "01_density.ipynb").write_text('{"cells": [')
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"kernelspec": {"name": "julia"}}}
    cells = [{"cell_type": "code", "input": [f"{c}\n"], "collapsed": 7} for c in RIGHT]
    (here / "old").mkdir()
    (here / "old" / "01_density.ipynb").write_text(
        json.dumps(old | {"worksheets": [{"cells": cells}]})
    )
    (here / "twins").mkdir()
    (here / "twins" / "01_density.ipynb").write_bytes(grading.notebook(grading.AREA))
    (here / "twins" / "01_density (1).ipynb").write_bytes(grading.notebook(*RIGHT))
    release = grading.release(folder / "release")
    outcome = run(here, release, folder / "grades", jobs=2, limits=grading.LIMITS)
    assert len(outcome) == 11
    return folder


def by_student(folder):
    """The results that are stored, by student; of the twins' the better one."""
    found = sorted(grading.results(folder / "grades").values(), key=lambda one: one["points"])
    return {one["student"]: one for one in found}


def test_each_submission_has_a_result_with_points_or_a_reason(graded):
    found = by_student(graded)
    assert {name: one["points"] for name, one in found.items()} == {
        "ada": 5,
        "<img src=x onerror=alert(1)>": 2,
        "=cmd()": 3,
        "Grace Hopper": 0,
        "loud": 0,
        "hopper": 5,
        "empty": 0,
        "broken": 0,
        "old": 5,
        "twins": 5,
    }
    assert found["empty"]["reason"] == "there is no notebook in it"
    assert found["broken"]["reason"].startswith("it is not JSON")
    untried = [exercise["reason"] for exercise in found["Grace Hopper"]["exercises"]]
    assert untried == ["not attempted", "your notebook defines no area"]
    assert found["ada"]["sandbox"]["promises"]


def test_a_page_runs_nothing_and_tells_nothing_of_hidden_tests(graded):
    pages = sorted((graded / "grades" / "feedback").rglob("*.html"))
    assert len(pages) == 11
    for page in pages:
        text = page.read_text(encoding="utf8")
        soup = BeautifulSoup(text, "html.parser")
        assert "default-src 'none'" in soup.find("meta", attrs={"http-equiv": True})["content"]
        assert not soup.find_all(["script", "img", "iframe", "link", "object"])
        assert not [t for t in soup.find_all(True) if any(a.startswith("on") for a in t.attrs)]
        assert "2002" not in text
        assert "secret" not in text
    shown = [p for p in pages if "alert(1)" in p.read_text(encoding="utf8")]
    assert "def twice(x):" in shown[0].read_text(encoding="utf8")


def test_a_hidden_test_that_fails_is_told_in_words(graded):
    first = by_student(graded)["=cmd()"]["exercises"][0]
    assert first["points"] == 0
    assert "with other numbers" in first["reason"]


def test_the_tables_are_what_moodle_and_canvas_take(graded):
    with (graded / "grades" / "canvas.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_density"]
    assert rows[1][0].strip() == "Points Possible"
    assert ["hopper", "12", "", "", "", "5"] in rows
    assert any(row[0] == "'=cmd()" for row in rows)
    with (graded / "grades" / "moodle.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    grace = next(row for row in rows if row["Full name"] == "Grace Hopper")
    assert (grace["Identifier"], grace["Grade"]) == ("Participant 4711", "0")
    assert "not attempted" in grace["Feedback comments"]


def test_the_summary_shows_who_was_not_graded_and_each_exercise(graded):
    soup = BeautifulSoup((graded / "grades" / "summary.html").read_text(), "html.parser")
    text = soup.get_text(" ", strip=True)
    assert "there is no notebook in it" in text
    assert "1.1 Twice" in text
    assert len(soup.find_all("svg", role="img", attrs={"aria-label": True})) == 2


def test_item_statistics_are_what_they_are_called():
    rows = [(2, 3, 0), (2, 0, 4), (0, 3, 0), (0, 0, 4)]
    names = ("1.1", "a", 2), ("1.2", "b", 3), ("1.3", "c", 4)
    found = items(
        [
            {
                "points": sum(row),
                "exercises": [
                    {"number": n, "title": t, "points": p, "of": of, "seconds": p, "reason": ""}
                    for (n, t, of), p in zip(names, row, strict=True)
                ],
            }
            for row in rows
        ]
    )
    assert [item["difficulty"] for item in found] == [0.5, 0.5, 0.5]
    assert found[0]["discrimination"] == pytest.approx(0)  # the rest is 3, 4, 3, 4
    assert found[1]["discrimination"] == pytest.approx(correlation([1, 0, 1, 0], [2, 6, 0, 4]))
    assert [item["seconds"] for item in found] == [1, 1.5, 2]
    assert items([]) == []


def replaced(monkeypatch):
    """Referees that only note what they are given, in the list that is returned."""
    calls = []

    class Quick(nullcontext):
        def __enter__(self):
            return self

        def grade(self, job):
            calls.append(job)
            return nothing("again")

    monkeypatch.setattr("genlab.course.grade.pool.Referee", Quick)
    return calls


def test_a_second_run_grades_nothing_again_and_writes_the_same(graded, monkeypatch):
    before = {p: p.read_bytes() for p in (graded / "grades").rglob("*") if p.is_file()}
    monkeypatch.setattr("genlab.course.grade.pool.Referee", None)  # would fail if it were called
    run(graded / "submissions", graded / "release", graded / "grades", limits=grading.LIMITS)
    assert {p: p.read_bytes() for p in (graded / "grades").rglob("*") if p.is_file()} == before


def test_a_run_that_was_killed_goes_on_with_what_is_left(graded, tmp_path, monkeypatch):
    shutil.copytree(graded / "grades", tmp_path / "grades")
    lost = next((tmp_path / "grades" / "results").rglob("ada-*.json"))
    lost.write_text(lost.read_text()[:100])  # as if it had been written in part
    calls = replaced(monkeypatch)
    run(graded / "submissions", graded / "release", tmp_path / "grades", limits=grading.LIMITS)
    assert len(calls) == 1


def test_points_are_the_same_whatever_is_graded_beside(graded, tmp_path):
    grading.hand_in(tmp_path / "in", "ada", *RIGHT)
    grading.hand_in(tmp_path / "in", "eve", "def twice(x):\n    import os; os._exit(0)")
    alone = run(tmp_path / "in", graded / "release", tmp_path / "out", limits=grading.LIMITS)
    assert [one["points"] for one in alone] == [5, 0]


def test_what_an_archive_holds_is_read_in_memory_and_its_dangers_are_refused(tmp_path):
    keys = {"01_density": grading.small_key()}
    here = tmp_path / "in"
    here.mkdir()
    with zipfile.ZipFile(here / "good.zip", "w") as archive:
        archive.writestr("Ada_1_assignsubmission_file/01_density.ipynb", grading.notebook(*RIGHT))
    with zipfile.ZipFile(here / "out.zip", "w") as archive:
        archive.writestr("../01_density.ipynb", b"{}")
    with zipfile.ZipFile(here / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/01_density.ipynb", b" " * (25 << 20))
    (here / "torn.zip").write_bytes(b"PK\x03\x04 no more")
    (here / "link").symlink_to("/etc")
    (here / "link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(here / "pipe.ipynb")
    found = {one.file: one for one in find(here, keys)}
    assert found["good.zip!Ada_1_assignsubmission_file/01_density.ipynb"].student == "Ada"
    problems = {
        "out.zip": "leads out of it",
        "bomb.zip!x/01_density.ipynb": "larger than 20 MB",
        "torn.zip": "cannot be read",
        "link": "links are not followed",
        "link.ipynb": "links are not followed",
        "pipe.ipynb": "it is no file",
    }
    for file, reason in problems.items():
        assert reason in found[file].problem
    assert {p.name for p in here.parent.iterdir()} == {"in"}


def test_whose_a_notebook_is_in_each_kind_of_download(tmp_path):
    files = {
        "Ada B_1_assignsubmission_file_/01_density.ipynb": ("Ada B", "1"),
        "Ada C_2_assignsubmission_file_01_density.ipynb": ("Ada C", "2"),
        "ben_3_33_01_density.ipynb": ("ben", "3"),
        "cem_LATE_4_44_01_density-1.ipynb": ("cem", "4"),
        "dora/01_density.ipynb": ("dora", ""),
        "eve/01_density/01_density.ipynb": ("eve", ""),
        "eve/ben_3_33_01_density.ipynb": ("eve", ""),  # what she calls it changes nothing
    }
    for inside in (False, True):
        here = tmp_path / str(inside)
        here.mkdir()
        with zipfile.ZipFile(here / "download.zip", "w") as archive:
            for file in files:
                if inside:
                    archive.writestr(file, grading.notebook(*RIGHT))
                else:
                    (here / file).parent.mkdir(parents=True, exist_ok=True)
                    (here / file).write_bytes(grading.notebook(*RIGHT))
        found = find(here, {"01_density": grading.small_key()})
        assert {one.file.split("!")[-1]: (one.student, one.id) for one in found} == files
    with zipfile.ZipFile(tmp_path / "fay.zip", "w") as archive:
        archive.writestr("01_density.ipynb", grading.notebook(*RIGHT))
    assert "fay" in {one.student for one in find(tmp_path, {"01_density": grading.small_key()})}


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "1.5", "nan"])
@pytest.mark.parametrize("option", ["--jobs", "--seconds", "--megabytes"])
def test_what_is_no_number_is_refused_in_words(option, wrong, capsys):
    with pytest.raises(SystemExit):
        main(["grade", "in", "--release", "release", f"{option}={wrong}"])
    said = capsys.readouterr().err
    assert f"{option}: expected a whole number of 1 or more, got {wrong}" in said


def test_a_run_says_how_far_it_is_and_nothing_that_a_terminal_obeys(tmp_path, capsys, monkeypatch):
    replaced(monkeypatch)
    release = grading.release(tmp_path / "release")
    grading.hand_in(tmp_path / "in", "ada\x1b[2J", *RIGHT)
    grading.hand_in(tmp_path / "in", "ben", *RIGHT)
    run(tmp_path / "in", release, tmp_path / "out")
    said = capsys.readouterr().out
    assert "1/2 ada�[2J/01_density.ipynb: again" in said
    assert "\x1b" not in said
    assert said.endswith(f"0 graded, 2 not. Open {tmp_path}/out/summary.html.\n")


def packed(names, folder, file="in.zip"):
    """An archive with notebooks of these names, and what is found in it."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / file, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), grading.notebook(name))
    return find(folder, {"01_density": grading.small_key()})


@pytest.mark.parametrize("harm", ["its data", "its names"])
def test_a_broken_archive_spoils_no_other_submission(tmp_path, harm):
    packed(["ä_density.ipynb"], tmp_path / "in")
    archive = tmp_path / "in" / "in.zip"
    if harm == "its names":  # no UTF-8 any more
        archive.write_bytes(archive.read_bytes().replace("ä".encode(), b"\xff\xff"))
    else:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("01_density.ipynb", b"[" * 1000)
        data = bytearray(archive.read_bytes())
        data[46:50] = b"\xff" * 4
        archive.write_bytes(data)
    grading.hand_in(tmp_path / "in", "ada", *RIGHT)
    ada, broken = find(tmp_path / "in", {"01_density": grading.small_key()})
    assert (ada.student, ada.problem) == ("ada", "")
    assert "cannot be read" in broken.problem


def test_names_of_files_can_be_anything(tmp_path):
    names = [".", "a: b/01_density.ipynb", "x/01_density.ipynb", "x//01_density.ipynb"]
    names += ["\x1b[31m/01_density.ipynb", "\x1b[32m/01_density.ipynb", "\x1b[32m/01_density.ipynb"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        found = packed(names, tmp_path / "in")
    assert [one.problem for one in found] == [""] * 6
    assert len({one.file for one in found}) == 6
    assert len({results.place(tmp_path, one) for one in found}) == 6
    assert "\x1b" not in "".join(one.file + one.student for one in found)


def test_a_file_that_cannot_be_read_is_a_submission_with_a_reason(tmp_path, monkeypatch):
    file = grading.hand_in(tmp_path, "ada", *RIGHT)

    def refused(self, *args):
        raise PermissionError(f"no reading of {self.name}")

    monkeypatch.setattr(type(file), "open", refused)
    (one,) = find(tmp_path, {"01_density": grading.small_key()})
    assert one.problem == "it cannot be read: no reading of 01_density.ipynb"


def test_the_archive_of_canvas_names_each_student(tmp_path):
    files = "hopper_12_34_01_density.ipynb", "lovelace_LATE_13_35_01_density.ipynb"
    found = packed(files, tmp_path / "in", "submissions.zip")
    assert [(one.student, one.id) for one in found] == [("hopper", "12"), ("lovelace", "13")]


def test_a_file_is_nobody_elses_whatever_its_name(tmp_path):
    as_hers = "Ada_99_assignsubmission_file!01_density.ipynb"
    (tmp_path / f"eve_1_2_{as_hers}").write_bytes(b"{}")
    (tmp_path / f"eve_1_assignsubmission_file_{as_hers}").write_bytes(b"{}")
    found = find(tmp_path, {"01_density": grading.small_key()})
    assert [(one.student, one.id) for one in found] == 2 * [("eve", "1")]


def test_an_archive_of_ten_gigabytes_is_not_unpacked(tmp_path):
    (tmp_path / "in").mkdir()
    block = b"\0" * (1 << 20)
    with zipfile.ZipFile(tmp_path / "in" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.ipynb", "w") as member:
            member.write(block)
        for info in archive.filelist:
            info.file_size = 10 << 30  # what the directory says
    found = find(tmp_path / "in", {"01_density": grading.small_key()})
    assert "larger unpacked than 1 GB" in found[0].problem


def test_five_hundred_submissions_have_five_hundred_places(tmp_path):
    for i in range(500):
        grading.hand_in(tmp_path, f"Ünï {i % 250} {'/x' * (i // 250)}".strip(), *RIGHT)
    found = find(tmp_path, {"01_density": grading.small_key()})
    assert len({results.place(tmp_path, one) for one in found}) == 500


def test_five_hundred_submissions_at_once_have_five_hundred_results(graded, tmp_path, monkeypatch):
    calls = replaced(monkeypatch)
    for i in range(500):
        grading.hand_in(tmp_path / "in", f"student {i}", *RIGHT)
    outcome = run(tmp_path / "in", graded / "release", tmp_path / "out", jobs=50)
    assert len(calls) == 500
    assert len({one["student"] for one in outcome}) == 500
    assert len(grading.results(tmp_path / "out")) == 500
    assert len(list((tmp_path / "out" / "feedback").rglob("*.html"))) == 500


def test_results_do_not_lie_among_submissions(tmp_path):
    release = grading.release(tmp_path / "release")
    grading.hand_in(tmp_path / "in", "ada", *RIGHT)
    for out in (tmp_path / "in", tmp_path / "in" / "grades"):
        with pytest.raises(CourseError, match="would be taken for a submission"):
            run(tmp_path / "in", release, out)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["ada"]


def test_a_folder_or_release_that_is_not_there_is_refused(tmp_path, capsys):
    release = grading.release(tmp_path / "release")
    with pytest.raises(CourseError, match="no folder"):
        run(tmp_path / "none", release, tmp_path / "out")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CourseError, match="holds no notebook"):
        run(tmp_path / "nothing", release, tmp_path / "out")
    arguments = [
        str(tmp_path / "release"),
        "--release",
        str(tmp_path / "nothing"),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(["grade", *arguments]) == 1
    assert "genlab grade: expected one instructors' archive" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_dask_cluster_gives_the_same_results(graded, tmp_path):
    grading.hand_in(tmp_path / "in", "ada", *RIGHT)
    grading.hand_in(tmp_path / "in", "eve", *SECOND)
    here = run(tmp_path / "in", graded / "release", tmp_path / "local", limits=grading.LIMITS)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        there = run(
            tmp_path / "in",
            graded / "release",
            tmp_path / "dask",
            dask=address,
            limits=grading.LIMITS,
        )
    for one in (*here, *there):
        for exercise in one["exercises"]:
            exercise["seconds"] = 0
    assert here == there


def test_a_cluster_that_is_not_there_is_named(graded, tmp_path):
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from pathlib import Path\nfrom genlab.course.grade.run import run\n"
        f"run(Path({str(tmp_path / 'in')!r}), Path({str(graded / 'release')!r}), "
        f"Path({str(tmp_path / 'out')!r}), dask='tcp://127.0.0.1:1')"
    )
    grading.hand_in(tmp_path / "in", "ada", *RIGHT)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "--dask needs the package distributed" in done.stderr
