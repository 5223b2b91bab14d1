"""A question bank as Moodle XML, one category a chapter.

The format as Moodle documents it (docs.moodle.org, "Moodle XML format") and as its importer reads
it; there is no official schema.
"""

from collections.abc import Mapping, Sequence
from xml.dom.minidom import Document, Element

from genlab.course.questions import Question
from genlab.course.release.elements import add, add_html, written


def moodle(course: str, chapters: Mapping[str, Sequence[Question]]) -> bytes:
    """The questions of each chapter, whose texts are HTML, as one file to import."""
    document = Document()
    quiz = add(document, "quiz")
    for chapter, questions in chapters.items():
        path = "/".join(part.replace("/", "//") for part in (course, chapter))
        category = add(quiz, "question", type="category")
        add(add(category, "category"), "text", f"$course$/top/{path}")
        for question in questions:
            _question(quiz, question)
    return written(document)


def _question(quiz: Element, question: Question) -> None:
    if question.choices:
        kind = "multichoice"
    else:
        kind = "essay" if question.answer is None else "numerical"
    element = add(quiz, "question", type=kind)
    add(add(element, "name"), "text", question.name)
    _html(element, "questiontext", question.text)
    right = [choice for choice in question.choices if choice.right]
    solution = "\n".join(part for choice in right for part in (choice.text, choice.reason))
    _html(element, "generalfeedback", solution or question.reason)
    add(element, "defaultgrade", "1")
    add(element, "penalty", "0.3333333")
    add(element, "hidden", "0")
    add(element, "idnumber", question.name)
    match kind:
        case "multichoice":
            _choices(element, question)
        case "numerical":
            answer = add(element, "answer", fraction="100", format="moodle_auto_format")
            add(answer, "text", f"{question.answer:f}")
            _html(answer, "feedback", question.reason)
            add(answer, "tolerance", f"{question.tolerance:f}")
        case "essay":
            add(element, "responseformat", "editor")
            add(element, "responserequired", "1")
            add(element, "responsefieldlines", "10")
            add(element, "attachments", "0")
            _html(element, "graderinfo", question.reason)


def _choices(element: Element, question: Question) -> None:
    add(element, "single", "false" if question.several else "true")
    add(element, "shuffleanswers", "true")
    add(element, "answernumbering", "none")
    right = sum(choice.right for choice in question.choices)
    wrong = len(question.choices) - right
    for choice in question.choices:
        # With several right ones, all choices together are worth nothing.
        share = 100 / right if choice.right else -100 / wrong if question.several else 0
        answer = _html(
            element, "answer", choice.text, fraction=f"{share:.5f}".rstrip("0").rstrip(".")
        )
        _html(answer, "feedback", choice.reason)


def _html(parent: Element, name: str, html: str, **attributes: str) -> Element:
    element = add(parent, name, **attributes, format="html")
    add_html(element, "text", html)
    return element
