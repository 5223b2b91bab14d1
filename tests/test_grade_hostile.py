"""It is hostile out there: each trick of a student is tried, and none pays or spreads.

Every bomb runs under the limits of the sandbox from its first instruction.
"""

import os
import re
import socket
from pathlib import Path

import grading
import pytest

from genlab.course.grade.sandbox import launchers
from genlab.course.grade.student import Student

# What a student writes in place of ``twice``; each is graded beside a right ``area``.
DURING_A_CALL = {
    "an infinite loop": ("while True: pass", "took too long"),
    "os._exit": ("import os; os._exit(0)", "ended its process"),
    "sys.exit": ("import sys; sys.exit(0)", "SystemExit"),
    "a kill of its own process": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ""),
    "a kill of its parent": ("import os; os.kill(os.getppid(), 9); return 6", ""),
    "a fork bomb": ("import os\n    while True: os.fork()", "BlockingIOError"),
    "a bomb of threads": (
        "import threading, time\n"
        "    while True: threading.Thread(target=time.sleep, args=(9,)).start()",
        "start new thread",
    ),
    "a memory bomb": ("return b'x' * (1 << 40)", "MemoryError"),
    "a slow memory bomb": ("a = []\n    while True: a.append(bytearray(1 << 24))", "MemoryError"),
    "200 MB of output": ("[print('x' * (1 << 20)) for _ in range(200)]; return 0", "twice 3 is 6"),
    "a 1 GB file": ("f = open('big', 'wb')\n    while True: f.write(b'x' * (1 << 20))", "OSError"),
    "the deletion of its folder": (
        "import os, shutil; shutil.rmtree(os.getcwd(), ignore_errors=True); return 0",
        "twice 3 is 6",
    ),
    "input": ("return int(input())", "EOFError"),
    "an object that equals everything": (
        "class Yes:\n        def __eq__(self, other): return True\n    return Yes()",
        "got a Yes",
    ),
    "an int that equals everything": (
        "class Yes(int):\n        def __eq__(self, other): return True\n    return Yes(0)",
        "got a Yes",
    ),
    "a tensor of a class of its own": (
        "class T(torch.Tensor): pass\n    return torch.zeros(1).as_subclass(T)",
        "got a T",
    ),
    "an error that cannot be shown": (
        "class E(Exception):\n        def __str__(self): raise SystemExit\n    raise E",
        "does not say",
    ),
    "an error that runs for ever": (
        "class E(Exception):\n        def __str__(self):\n            while True: pass\n"
        "    raise E",
        "took too long",
    ),
    "an error that ends loops": ("raise StopIteration", "StopIteration"),
    "an assertion of its own": ("raise AssertionError('1.1 right')", "not yet"),
    "a signal to all": ("import os; os.kill(-1, 9); return 0", "PermissionError"),
    "memory that outlives its process": (
        "import ctypes\n    part = ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600)\n"
        "    raise ValueError(f'got {part}')",
        "got -1",
    ),
    "the name of the reference": ("return 'twice'", "twice 3 is 6"),
    "an endless list": ("a = []; a.append(a); return a", "RecursionError"),
    "a long list": ("return [0] * (1 << 21)", "may cross"),
    "a large number": ("return 10 ** 100000", "64 bits"),
    "more bytes than may cross": ("return torch.zeros((1 << 24) + 1)", "may cross"),
    "a look at the stack": (
        "import sys\n    f = sys._getframe()\n    seen = ''\n"
        "    while f: seen += str(f.f_locals); f = f.f_back\n"
        "    return 2002 if 'secret' in seen else 6",
        "other numbers",
    ),
    "the solutions": ("from solutions import twice as t; return t(x)", "solutions"),
    "garbage in the pipe": (
        "import os\n    for fd in range(3, 20):\n"
        "        try: os.write(fd, b'{\"right\": true}' * 99)\n"
        "        except OSError: pass\n    return 6",
        "sent",
    ),
}
WHEN_LOADED = {
    "monkeypatched torch": "torch.allclose = torch.equal = lambda *a, **k: True",
    "monkeypatched builtins": "import builtins\nbuiltins.abs = builtins.AssertionError = print",
    "monkeypatched check": "import genlab.course.check as c\nc.check = lambda name: answer",
    "a forged result": "open('result.json', 'w').write('{\"points\": 5}')",
    "a module in the way": "import sys\nsys.modules['genlab'] = sys.modules['json'] = None",
}


ENDLESS = ("an infinite loop", "an error that runs for ever")


@pytest.fixture(scope="module")
def student():
    """A process for many; where a trick ends it, the next exercise starts another."""
    with Student(grading.LIMITS) as student:
        yield student


def wrong(body: str) -> str:
    return f"import torch\ndef twice(x):\n    {body}"


@pytest.mark.parametrize("trick", DURING_A_CALL)
def test_a_trick_in_a_call_gets_no_points_and_a_reason_and_the_next_exercise_its_own(
    trick, student
):
    body, reason = DURING_A_CALL[trick]
    student.limits = grading.SHORT if trick in ENDLESS else grading.LIMITS
    first = grading.marks(wrong(body), student=student)[0]
    student.limits = grading.LIMITS
    second = grading.marks(grading.AREA, student=student)[1]
    if trick == "a kill of its parent":  # there is none that it may kill
        assert first.points in (0, 2)
    else:
        assert first.points == 0
        assert reason in first.reason
        assert "secret" not in first.reason
    assert (second.points, second.reason) == (3, "")


@pytest.mark.parametrize("trick", WHEN_LOADED)
def test_what_a_student_changes_in_python_changes_nothing_in_the_check(trick):
    cell = f"{WHEN_LOADED[trick]}\nx_0 = exec({WHEN_LOADED[trick]!r})"
    first, second = grading.marks(cell, wrong("x_0; return 5"), grading.AREA)
    assert first.points == 0
    assert second.points == 3


def test_other_statements_of_a_notebook_never_run(student):
    cells = "while True: pass", "1 / 0", grading.TWICE, "raise SystemExit"
    first, second = grading.marks(*cells, student=student)
    assert first.points == 2
    assert second.reason == "your notebook defines no area"


@pytest.mark.parametrize("launcher", launchers())
def test_each_way_of_starting_holds_what_it_promises(launcher):
    """What the operating system refuses, whoever asks for it."""
    tries = {
        "no further process or thread": "os.fork() or os._exit(0)",
        "no connection by TCP": "socket.socket().bind(('127.0.0.1', 0))",
        "of all files the course can be read, and none changed": f"open({__file__!r})",
        "no socket, no signal, no memory shared with others": "socket.socket()",
        "no file above 1 MB": "open('big', 'wb').write(bytes(1 << 21)) > 1 << 20 or 1 / 0",
        "at most 600 MB of memory": "bytearray(700 << 20)",
        "at most 64 open files": "[open('/dev/null') for _ in range(99)]",
    }
    if launcher != "plain":
        tries["at most 16 MB of files"] = "[open(str(i), 'wb').write(b'x' * MB) for i in range(17)]"
    body = "import os, socket, tempfile\n    held, MB = [], 1 << 20\n"
    body += "    home = tempfile.gettempdir() == os.getcwd()\n"  # torch makes folders there
    for name, code in tries.items():
        body += f"    try: {code}\n"
        body += f"    except (OSError, MemoryError, ArithmeticError): held.append({name!r})\n"
    with Student(grading.LIMITS, launcher) as student:
        mark = grading.marks(wrong(f"{body}    raise ValueError(held, home)"), student=student)[0]
    assert set(tries) <= set(student.promises)
    assert [name for name in tries if name not in mark.reason] == []
    assert "True" in mark.reason


def test_no_socket_leads_out(student):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        body = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1); return 6"
        assert grading.marks(wrong(body), student=student)[0].points == 0
        with pytest.raises(BlockingIOError):
            server.accept()


def test_neither_environment_nor_other_files_are_seen(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "swordfish")
    (tmp_path / "key.txt").write_text("swordfish")
    files = str(tmp_path / "key.txt"), str(Path(__file__).parent / "grading.py"), "/etc/passwd"
    body = (
        f"import os\n    said = str(dict(os.environ))\n    for name in {files}:\n"
        "        try: said += open(name).read()\n        except OSError: pass\n"
        "    raise ValueError(len(said), 'swordfish' in said or 'TWICE' in said or 'root:' in said)"
    )
    reason = grading.marks(wrong(body))[0].reason
    assert "False" in reason


def test_the_course_cannot_be_written_to(student):
    here = Path(grading.__file__).parents[1] / "genlab" / "course" / "check.py"
    before = here.read_bytes()
    body = f"open({str(here)!r}, 'a').write('#'); return 6"
    mark = grading.marks(wrong(body), student=student)[0]
    assert mark.points == 0
    assert "Error" in mark.reason
    assert here.read_bytes() == before


# Rows of the guide's table that are no trick of the two lists above, and the tests that show them.
ELSEWHERE = {
    "a write to the course": "test_the_course_cannot_be_written_to",
    "a look at the environment or at other files": "test_neither_environment_nor_other_files",
    "a connection to somewhere": "test_no_socket_leads_out",
    "HTML or scripts in names and answers": "test_a_page_runs_nothing",
    "an archive with paths that lead out": "test_what_an_archive_holds",
    "with links": "test_what_an_archive_holds",
    "or of 10 GB": "test_an_archive_of_ten_gigabytes_is_not_unpacked",
    "invalid JSON": "test_each_submission_has_a_result",
    "format 3": "test_notebooks_of_both_formats_are_read",
    "another kernel": "test_each_submission_has_a_result",
    "cells lost": "test_the_course_gives_what_the_student_lost",
    "doubled or in another order": "test_of_two_definitions",
    "a name in other letters": "test_a_name_in_other_letters_is_another_name",
    "an empty folder": "test_each_submission_has_a_result",
    "two notebooks": "test_each_submission_has_a_result",
    "500 notebooks": "test_five_hundred_submissions_at_once",
    "questions about what the check is made of": "test_a_tensor_of_the_check_can_be_asked",
    "a function in place of one of the check's": "test_what_is_sent_beside_the_answer",
    "a hidden test retold in a later error": "test_what_a_hidden_test_asked_is_told_in_no",
    "text that does something to a terminal": "test_a_reason_is_short_and_does_nothing",
    "16 MB of small files": "test_each_way_of_starting_holds_what_it_promises",
    "a broken archive": "test_a_broken_archive_spoils_no_other_submission",
    "names of files twice or of control characters": "test_names_of_files_can_be_anything",
    "a name that looks like another student's": "test_a_file_is_nobody_elses_whatever_its_name",
    "more code than anyone writes": "test_more_code_than_anyone_writes_is_refused",
}


def test_each_trick_of_the_guide_is_tried():
    page = (Path(__file__).parents[1] / "book" / "teach.md").read_text(encoding="utf8")
    table = page.split("* - a notebook does\n")[1].split("```")[0]
    rows = re.findall(r"^\* - (.+)$", table, re.MULTILINE)
    tricks = [trick for row in rows for trick in row.split(", ")]
    tests = "".join(p.read_text(encoding="utf8") for p in Path(__file__).parent.glob("test_gr*.py"))
    assert len(tricks) > 35
    for trick in tricks:
        assert trick in {**DURING_A_CALL, **WHEN_LOADED} or f"def {ELSEWHERE[trick]}" in tests


def test_nothing_is_left_running_or_lying_about(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    body = "import subprocess; subprocess.Popen(['sleep', '31']); return 6"
    before = _children()
    with Student(grading.SHORT) as student:
        grading.marks(wrong(body), student=student)
        grading.marks(wrong("while True: pass"), student=student)
    assert _children() == before
    assert list(tmp_path.iterdir()) == []


def _children() -> set[str]:
    """Processes of this one's, and theirs."""
    tree = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                tree[entry.name] = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue
    found, todo = set(), [str(os.getpid())]
    while todo:
        parent = todo.pop()
        below = {child for child, of in tree.items() if of == parent}
        found |= below
        todo += below
    return found
