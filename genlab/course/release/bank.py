"""The questions of the chosen chapters, for Moodle and for Canvas."""

from dataclasses import replace
from pathlib import Path

from genlab.course.layout import chapter_title
from genlab.course.questions import Question, read
from genlab.course.release.as_html import Convert, converter
from genlab.course.release.canvas import canvas
from genlab.course.release.moodle import moodle
from genlab.course.release.plan import Plan
from genlab.course.root import CourseError


def write(root: Path, plan: Plan, folder: Path) -> None:
    """Write ``moodle.xml`` and ``canvas.zip`` into ``folder``, a category or quiz for each chapter.

    A chapter without questions is in neither; without any question no file is written.

    Raises:
        CourseError: a question is not well-formed, two have the same name, or one has a role
            that means nothing outside of the book.
    """
    html = converter(root)
    chapters, pages = {}, {}
    for name in plan.chapters:
        page = root / "book" / f"{name}.md"
        questions = read(page)
        for question in questions:
            if (other := pages.setdefault(question.name, page.name)) != page.name:
                raise CourseError(
                    f"{other} and {page.name} both have a question {question.name!r}. Rename one."
                )
        if questions:
            number, slug = name.split("_", 1)
            heading = f"{number} {chapter_title(root, slug)}"
            chapters[heading] = [_converted(question, html) for question in questions]
    if chapters:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "moodle.xml").write_bytes(moodle(plan.title, chapters))
        canvas(plan.title, chapters, folder / "canvas.zip")


def _converted(question: Question, html: Convert) -> Question:
    """The question with its texts as HTML."""
    try:
        return replace(
            question,
            text=html(question.text),
            reason=html(question.reason),
            choices=tuple(
                replace(choice, text=html(choice.text), reason=html(choice.reason))
                for choice in question.choices
            ),
        )
    except CourseError as fault:
        raise CourseError(f"question {question.name!r}: {fault}") from fault
