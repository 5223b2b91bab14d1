"""Answers are found by their names, wherever and however they stand."""

import json

import grading
import pytest

from genlab.course.grade.extract import code_cells, definition, needed, pieces


def code(wanted, *cells, given=()):
    """The code that is taken for a name."""
    own, course = pieces(cells)[0], pieces(given)[0]
    return [piece.code for piece in needed([wanted], own, course)]


def test_an_answer_comes_with_what_it_needs_and_with_nothing_else():
    found = code(
        "f",
        "import math\nimport os\nscale = 2",
        "print(1 / 0)\nwhile True:\n    pass",
        "def g(x):\n    return math.exp(x)\n\ndef unused():\n    return os",
        "@decorator\ndef f(x):\n    return scale * g(x)",
        "for i in range(3):\n    f(i)",
    )
    assert found == [
        "import math",
        "scale = 2",
        "def g(x):\n    return math.exp(x)",
        "@decorator\ndef f(x):\n    return scale * g(x)",
    ]


def test_of_two_definitions_the_last_that_is_not_a_stub_is_taken():
    stub, one, two = (f"def f(x):\n    {body}" for body in ("raise NotImplementedError", "1", "2"))
    for cells in ([one, two], [stub, one, two], [one, two, stub], [one, stub, two]):
        assert code("f", *cells) == [two]
    assert code("f", stub) == [stub]


def test_the_course_gives_what_the_student_lost():
    assert code("f", "def f():\n    return seeded(1)", given=["def seeded(n):\n    return n"]) == [
        "def seeded(n):\n    return n",
        "def f():\n    return seeded(1)",
    ]


def test_a_cell_that_is_no_python_loses_nothing_but_itself():
    found, broken = pieces(["%matplotlib inline\n!ls\ndef f():\n    return 1", "def g(:", "x = 1"])
    assert [piece.binds for piece in found] == [{"f"}, {"x"}]
    assert broken == ["def g(:"]


def test_a_name_in_other_letters_is_another_name():
    cyrillic = "def аrea(r):\n    return r"  # its first letter is Cyrillic
    assert definition("area", pieces([cyrillic])[0]) is None
    ligature = "def ﬁnd(r):\n    return r"  # Python itself takes this one for «find»
    assert definition("find", pieces([ligature])[0]) is not None


def test_the_text_of_an_answer_keeps_its_comments():
    text = "@cached\ndef f():  # here\n    # and here\n    return 1"
    assert definition("f", pieces([f"x = 1\n{text}\ny = 2"])[0]).text == text


def test_what_cannot_be_parsed_is_put_aside():
    deep = "x = " + "(" * 5000 + ")" * 5000
    minus = "x = " + "-" * 50_000 + "1"
    assert pieces([deep, "\0", minus, "def f():\n\treturn 1"])[0][-1].defines == "f"


def test_what_an_import_of_everything_binds_is_at_hand():
    star = "from math import *"
    assert code("f", star, "def f(x):\n    return exp(x)") == [star, "def f(x):\n    return exp(x)"]


@pytest.mark.parametrize(
    "limit",
    [
        "IPython.core.inputtransformer2.TRANSFORM_LOOP_LIMIT",
        "genlab.course.grade.extract._Magics.left",
    ],
)
def test_a_cell_of_too_many_magics_loses_nothing_but_itself(limit, monkeypatch):
    monkeypatch.setattr(limit, 5)
    magic = "%time x\n" * 9
    found, broken = pieces([magic, "def f():\n    return 1"])
    assert [piece.defines for piece in found] == ["f"]
    assert broken == [magic]


def test_a_long_chain_of_names_is_followed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "genlab.course.grade.extract.definition", lambda name, source: asked.extend(source)
    )
    cells = [f"a{i} = a{i + 1}" for i in range(300)]
    assert len(code("a0", *cells)) == 300
    assert len(asked) == 300


def test_more_code_than_anyone_writes_is_refused():
    with pytest.raises(ValueError, match="more than a million characters of code"):
        code_cells(grading.notebook(*["x = 1\n" * 10_000] * 20))


def test_notebooks_of_both_formats_are_read_and_nothing_else():
    three = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "b = 2"]}]}]}
    assert code_cells(json.dumps(three).encode()) == ["a = 1\nb = 2"]
    assert code_cells(grading.notebook("a", "b")) == ["a", "b"]
    for data in (b"", b"{", b"[]", b"7", b'{"cells": 3}', b'{"cells": [{"cell_type": "code"}, 3]}'):
        with pytest.raises(ValueError, match="it is"):
            code_cells(data)
    with pytest.raises(ValueError, match="it is"):
        code_cells(b'{"cells":' + b"[" * 200_000)


def test_the_key_holds_names_points_and_both_parts_of_a_check():
    key = grading.small_key()
    assert [task.names for task in key.tasks] == [("twice",), ("area",)]
    assert [check.points for task in key.tasks for check in task.checks] == [2, 3]
    assert "secret" in key.tasks[0].checks[0].hidden
    assert not any("secret" in cell for cell in key.given)
    assert key.fingerprint() == grading.small_key().fingerprint()
