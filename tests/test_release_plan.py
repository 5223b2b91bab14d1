"""The plan of a course: what ``course.toml`` may say, and what each refusal says."""

from datetime import date, datetime, timedelta, timezone

import nbformat
import pytest
from small import small_course

from genlab.course import exercises, notebooks
from genlab.course.release.plan import Chapter, read
from genlab.course.root import CourseError

BOTH = "[chapters.01_density]\n[chapters.02_divergences]\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_course(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def said(small):
    """Reads a text as the plan of the small course."""

    def plan(text):
        (small / "course.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(small)

    yield plan
    (small / "course.toml").unlink()


def test_without_a_file_everything_is_chosen_and_nothing_is_due(small):
    plan = read(small)
    said = (plan.title, plan.term, plan.repository, plan.branch, plan.hub)
    assert said == ("Generative models", "", "", "main", "")
    assert list(plan.chapters.values()) == [
        Chapter("01_density", {"1.1": 2, "1.2": 3}),
        Chapter("02_divergences", {"2.1": 2, "2.2": 3}),
    ]


def test_everything_that_can_be_said(said):
    plan = said(
        'title = "Models"\nterm = "Spring 2027"\nbranch = "spring-2027"\n'
        'repository = "https://github.com/you/genlab-students"\n'
        'hub = "https://hub.example.edu:8000/jupyter"\n'
        "[chapters.02_divergences]\ndue = 2027-02-12T23:59:00+01:00\n"
        'exercises = ["2.2", "2.1"]\npoints = { "2.2" = 0 }\n'
        "[chapters.01_density]\ndue = 2027-02-01\nexercises = []\n"
    )
    assert (plan.title, plan.term, plan.branch) == ("Models", "Spring 2027", "spring-2027")
    assert plan.repository == "https://github.com/you/genlab-students"
    assert plan.hub == "https://hub.example.edu:8000/jupyter"
    # Chapters and exercises stand in the order of the course, whatever the order of the file.
    due = datetime(2027, 2, 12, 23, 59, tzinfo=timezone(timedelta(hours=1)))
    assert list(plan.chapters.values()) == [
        Chapter("01_density", {}, date(2027, 2, 1)),
        Chapter("02_divergences", {"2.1": 2, "2.2": 0}, due),
    ]


def test_a_chapter_that_is_not_named_is_left_out(said):
    assert list(said("[chapters.02_divergences]").chapters) == ["02_divergences"]


def test_the_file_of_this_course_chooses_everything(root):
    plan = read(root)
    assert [f"{name}.py" for name in plan.chapters] == sorted(
        file.name for file in (root / "solutions").glob("*.py")
    )
    for name, chapter in plan.chapters.items():
        _, there = exercises.parts(notebooks.read(root / "solutions" / f"{name}.py"), name)
        assert chapter == Chapter(name, {e.number: e.points for e in there}, None)


ONE = "[chapters.01_density]\n"
DUE = "a date, or a date and time with its distance from UTC"
EXAMPLE = "due = 2027-02-12T23:59:00+01:00"
LIST = 'exercises = ["1.1", "1.2"]'
WHOLE = "a whole number, not negative"
REPOSITORY = 'repository = "https://github.com/you/genlab-students"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 'x'\nterm = \n" + BOTH, ["TOML", "line 2"]),
        (b"title = '\xff'\n", ["TOML in UTF-8"]),
        (f"{ONE}due = 1\ndue = 2\n", ["TOML", "line 3"]),
        ("tilte = 'x'\n" + BOTH, ["unknown key tilte", "title?"]),
        ("semester = 'x'\n" + BOTH, ["unknown key semester", "term?"]),
        (f"{ONE}dew = 2027-02-12\n", ["chapters.01_density", "key dew", "due?"]),
        (f"{ONE}exercise = []\n", ["chapters.01_density", "key exercise", "exercises?"]),
        ("title = 3\n" + BOTH, ["title:", "in one line", "came 3", 'title = "Generative']),
        ("title = ''\n" + BOTH, ["title:", "in one line", 'came ""']),
        ("term = ['x']\n" + BOTH, ["term:", 'came ["x"]', 'term = "Spring 2027"']),
        ("branch = 'my branch'\n" + BOTH, ["branch:", 'came "my branch"', 'branch = "main"']),
        ("hub = 'http://hub.org'\n" + BOTH, ["hub:", "https address", 'came "http://hub.org"']),
        ('title = "a\\u0007b"\n' + BOTH, ["title:", "in one line"]),
        ('term = "a\\rb"\n' + BOTH, ["term:", "in one line", 'came "a\\rb"']),
        ("hub = 'https://hub.org/hub'\n" + BOTH, ["hub:", "/hub at its end", "https://hub.ex"]),
        ("hub = 'https://hub.org/'\n" + BOTH, ["hub:", "without a slash", "https://hub.example"]),
        ("repository = 'you/x'\n" + BOTH, ["repository:", 'came "you/x"', REPOSITORY]),
        ("repository = 'http://github.com/you/x'\n" + BOTH, ["https://github.com/OWNER/NAME"]),
        ("repository = 'https://example.org/you/x'\n" + BOTH, ["repository:", REPOSITORY]),
        ("repository = 'https://github.com/you/x.git'\n" + BOTH, ["repository:", REPOSITORY]),
        ("title = 'x'\n", ["chapters:", "at least one chapter", "[chapters.01_density]"]),
        ("chapters = '01_density'\n", ["chapters:", 'came "01_density"', "[chapters.01_"]),
        ("[chapters]\n01_density = true\n", ["chapters.01_density:", "a table", "came true"]),
        ("[chapters.04_early]\n", ["01_density, 02_divergences", 'came "04_early"']),
        ("[chapters.density]\n", ["01_density,", 'came "density"', "[chapters.01_density]"]),
        ("[chapters.divergences]\n", ['came "divergences"', "[chapters.02_divergences]"]),
        (f"{ONE}due = 'soon'\n", ["chapters.01_density.due:", DUE, 'came "soon"', EXAMPLE]),
        (f"{ONE}due = 2027-02-12T23:59:00\n", [DUE, "came", "2027-02-12 23:59:00", EXAMPLE]),
        (f"{ONE}due = 23:59:00\n", [DUE, "23:59:00", EXAMPLE]),
        (f"{ONE}due = 20270212\n", [DUE, "came 20270212", EXAMPLE]),
        (f"{ONE}exercises = '1.1'\n", ["density.exercises:", "1.1, 1.2", 'came "1.1"', LIST]),
        (f"{ONE}exercises = [1.1]\n", ["density.exercises:", "came 1.1.", LIST]),
        (f"{ONE}exercises = ['1.1', '1.9']\n", ["(1.1, 1.2)", 'came "1.9"', LIST]),
        (f"{ONE}exercises = [['1.1']]\n", ['came ["1.1"]', LIST]),
        (f"{ONE}exercises = ['1.1', '1.1']\n", ["each exercise once", 'came ["1.1", "1.1"]']),
        (f"{ONE}exercises = ['1.2']\n", ["exercise 1.2 uses twice", "Choose 1.1 too", "1.2 out"]),
        (f"{ONE}points = 5\n", ["density.points:", "a table of exercises", "came 5"]),
        (f"{ONE}points = {{ 1.1 = 5 }}\n", ['came "1"', 'points = { "1.1" = 3 }']),
        (
            f"{ONE}exercises = ['1.1']\npoints = {{ '1.2' = 5 }}\n",
            ["density.points:", "a chosen exercise (1.1)", 'came "1.2"', '"1.1" = 3'],
        ),
        (f"{ONE}points = {{ '1.2' = -1 }}\n", ['points."1.2":', WHOLE, "came -1", '"1.1" = 3']),
        (f"{ONE}points = {{ '1.2' = 2.5 }}\n", ['points."1.2":', WHOLE, "came 2.5"]),
        (f"{ONE}points = {{ '1.2' = true }}\n", ['points."1.2":', WHOLE, "came true"]),
        (f"{ONE}points = {{ '1.2' = '3' }}\n", ['points."1.2":', WHOLE, 'came "3"']),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_write(said, text, words):
    with pytest.raises(CourseError) as refused:
        said(text)
    message = str(refused.value)
    assert message.startswith("course.toml: ")
    for word in words:
        assert word in message


# --- Exercises of a notebook -------------------------------------------------------------------


def notebook(*cells: str):
    """Cells of Markdown (they begin with #) and of code, as the tools read them."""
    nb = nbformat.v4.new_notebook()
    for source in cells:
        kind = "markdown" if source.startswith("#") else "code"
        nb.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")(source))
        if source.startswith("with check"):
            nb.cells[-1].metadata["nbgrader"] = {"grade": True, "points": 2}
    return nb


def test_the_parts_of_every_notebook_of_the_course(root):
    for source in sorted((root / "solutions").glob("*.py")):
        nb = notebooks.read(source)
        before, there = exercises.parts(nb, source.name)
        assert [*before, *(cell for e in there for cell in e.cells)] == nb.cells
        assert [e.number for e in there] == [
            f"{int(source.name[:2])}.{i}" for i in range(1, len(there) + 1)
        ]
        for exercise in there:
            heading = f"## {exercise.number} {exercise.title} ({exercise.points} points, "
            assert exercise.cells[0].source.startswith(heading + f"{exercise.minutes} minutes)")
            assert exercise.points == sum(c.metadata["nbgrader"]["points"] for c in exercise.checks)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["## 1.1 Twice (3 points, 5 minutes)", "with check"], ["1.1 says 3 points", "have 2"]),
        (["## 1.1 Twice (2 points)", "with check"], ["«## 1.1 Twice (2 points)»", "15 minutes"]),
        (["## Something else"], ["expected the heading of an exercise", "«## Something else»"]),
        (["## 1.1 A (0 points, 5 minutes)"] * 2, ["two exercises have the number 1.1"]),
    ],
)
def test_a_heading_that_is_not_true_is_refused(cells, words):
    with pytest.raises(CourseError) as refused:
        exercises.parts(notebook(*cells), "01_density.py")
    assert str(refused.value).startswith("01_density.py: ")
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("def twice(x):\n    return 2 * x", "y = twice(3)", ["twice"]),
        ("def twice(x):\n    return 2 * x", "def f():\n    return twice(3)", ["twice"]),
        ("import scipy.stats as stats", "class A:\n    law = stats.norm", ["stats"]),
        ("a, (b, *c) = 1, (2, 3)", "print(a, [b for _ in range(2)], c)", ["a", "b", "c"]),
        ("with open(p) as file: pass", "file.name", ["file"]),
        ("x = 1", "x = 2\nprint(x)", []),  # defined again
        ("x = 1", "print([x for x in range(3)], lambda x: x)", []),  # its own
        ("x = 1", "def f(x):\n    return x", []),
        ("def f():\n    x = 1", "print(x)", []),  # never one of the notebook
        ("math = 2", "print(math)", []),  # in the first cells
        ("len = 2", "print(len)", []),  # in Python
        ("n = 2", "%timeit -n 3 print(n)\n%matplotlib inline", []),  # not seen in a magic
    ],
)
def test_a_name_that_only_an_exercise_left_out_defines_is_missed(first, second, names):
    nb = notebook(
        *("# Exercises", "import math"),
        *("## 1.1 First (0 points, 5 minutes)", first),
        *("## 1.2 Second (0 points, 5 minutes)", second),
    )
    before, there = exercises.parts(nb, "01_density.py")
    assert list(exercises.lost(before, there, {"1.2"})) == [("1.2", n, "1.1") for n in names]
    assert list(exercises.lost(before, there, {"1.1", "1.2"})) == []
    assert list(exercises.lost(before, there, set())) == []
