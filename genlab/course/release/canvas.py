"""Quizzes for Canvas: a content package of QTI 1.2 assessments, one a chapter.

IMS Question & Test Interoperability 1.2.1, with the metadata fields that Canvas reads. In Canvas:
course settings, import course content, "QTI .zip file"; the questions arrive as quizzes and in the
question banks. Identifiers are made from names, so a second import replaces the first.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.dom.minidom import Document, Element

from genlab.course.questions import Question
from genlab.course.release.archive import zipped
from genlab.course.release.elements import add, written

_QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
_PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"
_EARLY = datetime(1980, 1, 1, tzinfo=UTC)  # the first hour that a zip can say
_RESPONSE = "response1"


def canvas(course: str, chapters: Mapping[str, Sequence[Question]], target: Path) -> None:
    """Write the questions of each chapter, whose texts are HTML, as one archive to import."""
    document = Document()
    manifest = add(document, "manifest", identifier=_key("course", course), xmlns=_PACKAGE)
    metadata = add(manifest, "metadata")
    add(metadata, "schema", "IMS Content")
    add(metadata, "schemaversion", "1.1.3")
    add(manifest, "organizations")
    resources = add(manifest, "resources")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for chapter, questions in chapters.items():
            key = _key("chapter", chapter)
            file = f"{key}/{key}.xml"
            resource = add(resources, "resource", identifier=key, type="imsqti_xmlv1p2", href=file)
            add(resource, "file", href=file)
            (folder / key).mkdir()
            (folder / file).write_bytes(_assessment(key, chapter, questions))
        (folder / "imsmanifest.xml").write_bytes(written(document))
        zipped(folder, target, _EARLY)


def _assessment(key: str, chapter: str, questions: Sequence[Question]) -> bytes:
    document = Document()
    root = add(document, "questestinterop", xmlns=_QTI)
    assessment = add(root, "assessment", ident=key, title=chapter)
    _fields(assessment, cc_maxattempts="unlimited")
    section = add(assessment, "section", ident="root_section")
    for question in questions:
        _item(section, question)
    return written(document)


def _item(section: Element, question: Question) -> None:
    """A question: what it is, what is shown, what each answer is worth, what is said to it."""
    item = add(section, "item", ident=_key("question", question.name), title=question.name)
    if question.choices:
        kind = "multiple_answers" if question.several else "multiple_choice"
    else:
        kind = "essay" if question.answer is None else "numerical"
    metadata = add(item, "itemmetadata")
    _fields(metadata, question_type=f"{kind}_question", points_possible="1")
    presentation = add(item, "presentation")
    _material(presentation, question.text)
    processing = add(item, "resprocessing")
    score = {"vartype": "Decimal", "minvalue": "0", "maxvalue": "100"}
    add(add(processing, "outcomes"), "decvar", varname="SCORE", **score)
    if question.choices:
        said = _choices(presentation, processing, question)
    else:
        said = {"general_fb": question.reason}
        _written_answer(presentation, processing, question)
    for key, html in said.items():
        _material(add(add(item, "itemfeedback", ident=key), "flow_mat"), html)


def _choices(presentation: Element, processing: Element, question: Question) -> dict[str, str]:
    """Choices and what they are worth; returned: what is said to each."""
    keys = {_key("choice", f"{question.name} {i}"): c for i, c in enumerate(question.choices)}
    cardinality = "Multiple" if question.several else "Single"
    response = add(presentation, "response_lid", ident=_RESPONSE, rcardinality=cardinality)
    render = add(response, "render_choice", shuffle="Yes")
    for key, choice in keys.items():
        _material(add(render, "response_label", ident=key), choice.text)
        shown = _condition(processing, feedback=f"{key}_fb")
        add(shown, "varequal", key, respident=_RESPONSE)
    scored = _condition(processing)
    if question.several:
        scored = add(scored, "and")
    for key, choice in keys.items():
        if choice.right:
            add(scored, "varequal", key, respident=_RESPONSE)
        elif question.several:
            add(add(scored, "not"), "varequal", key, respident=_RESPONSE)
    return {f"{key}_fb": choice.reason for key, choice in keys.items()}


def _written_answer(presentation: Element, processing: Element, question: Question) -> None:
    """A field to write in, and for a number the range that is right."""
    response = add(presentation, "response_str", ident=_RESPONSE, rcardinality="Single")
    render = add(response, "render_fib")
    add(render, "response_label", ident="answer1", rshuffle="No")
    add(_condition(processing, feedback="general_fb"), "other")
    if question.answer is None:
        return
    render.setAttribute("fibtype", "Decimal")
    either = add(_condition(processing), "or")
    add(either, "varequal", f"{question.answer:f}", respident=_RESPONSE)
    between = add(either, "and")
    add(between, "vargte", f"{question.answer - question.tolerance:f}", respident=_RESPONSE)
    add(between, "varlte", f"{question.answer + question.tolerance:f}", respident=_RESPONSE)


def _condition(processing: Element, feedback: str = "") -> Element:
    """A place for a condition that shows a feedback and goes on, or else gives all points."""
    condition = add(processing, "respcondition", **{"continue": "Yes" if feedback else "No"})
    variables = add(condition, "conditionvar")
    if feedback:
        add(condition, "displayfeedback", feedbacktype="Response", linkrefid=feedback)
    else:
        add(condition, "setvar", "100", action="Set", varname="SCORE")
    return variables


def _fields(parent: Element, **fields: str) -> None:
    metadata = add(parent, "qtimetadata")
    for label, entry in fields.items():
        field = add(metadata, "qtimetadatafield")
        add(field, "fieldlabel", label)
        add(field, "fieldentry", entry)


def _material(parent: Element, html: str) -> None:
    add(add(parent, "material"), "mattext", html, texttype="text/html")


def _key(kind: str, name: str) -> str:
    """An identifier that stays the same as long as the name does."""
    return "g" + hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:32]
