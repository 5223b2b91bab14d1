"""The directive ``{question}``: a quiz that answers at once, without a kernel and without a script.

What there is to say to a choice is folded under it in a native ``<details>``. While it is folded,
a right choice looks like a wrong one.
"""

from string import ascii_lowercase

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from genlab.course.questions import Question, Syntax, parse
from genlab.course.root import CourseError


class HtmlElement(nodes.General, nodes.Element):
    """An element of HTML that docutils has no node for: its ``tag`` and ``attributes``."""


class QuestionDirective(Syntax, SphinxDirective):
    """The question and, folded, what there is to say to each answer."""

    def run(self) -> list[nodes.Node]:
        try:
            question = parse(self.arguments[0], self.options, "\n".join(self.content))
        except CourseError as fault:
            raise self.error(str(fault)) from fault
        names = _names(self.env)
        if question.name in names:
            raise self.error(
                f"a second question is called {question.name!r}; "
                f"the first is in {names[question.name]}."
            )
        names[question.name] = self.env.docname
        label = f"{question.name}-text"
        box = HtmlElement(
            "",
            nodes.paragraph(
                "", "", *self._inline(question.text), ids=[label], classes=["question-text"]
            ),
            *(nodes.paragraph(text=hint, classes=["question-hint"]) for hint in _hints(question)),
            *self._answers(question),
            tag="div",
            classes=["question"],
            attributes={"role": "group", "aria-labelledby": label},
        )
        self.add_name(box)
        return [box]

    def _answers(self, question: Question) -> list[nodes.Node]:
        folded = []
        for letter, choice in zip(ascii_lowercase, question.choices, strict=False):
            # A formula alone has no name that a screen reader could say of a button.
            sign = nodes.inline(text=letter, classes=["letter"])
            summary = [sign, nodes.Text(" "), *self._inline(choice.text)]
            verdict, kind = ("Right.", "right") if choice.right else ("Not yet.", "wrong")
            folded.append(self._folded(summary, verdict, choice.reason, ["choice", kind]))
        if folded:
            return folded
        number = "" if question.answer is None else f"{question.answer}."
        return [self._folded([nodes.Text("Show the answer")], number, question.reason, ["answer"])]

    def _folded(
        self, summary: list[nodes.Node], verdict: str, reason: str, classes: list[str]
    ) -> HtmlElement:
        said = self.parse_text_to_nodes(reason)
        if verdict:
            if not isinstance(said[0], nodes.paragraph):
                said.insert(0, nodes.paragraph())
            said[0].insert(0, [nodes.strong(text=verdict), nodes.Text(" ")])
        return HtmlElement(
            "",
            HtmlElement("", *summary, tag="summary"),
            HtmlElement("", *said, tag="div"),
            tag="details",
            classes=classes,
        )

    def _inline(self, text: str) -> list[nodes.Node]:
        parsed, messages = self.parse_inline(text, lineno=self.lineno)
        return [*parsed, *messages]


def connect(app: Sphinx) -> None:
    """Add the directive to a Sphinx application."""
    app.add_node(HtmlElement, html=(_open, _close))
    app.add_directive("question", QuestionDirective)
    app.connect("env-purge-doc", _forget)


def _hints(question: Question) -> list[str]:
    if question.several:
        return ["Choose all that are right."]
    if question.answer is None:
        return []
    within = f", to within {question.tolerance}" if question.tolerance else ""
    return [f"A number{within}."]


def _names(env: BuildEnvironment) -> dict[str, str]:
    if not hasattr(env, "genlab_questions"):
        env.genlab_questions = {}
    return env.genlab_questions


def _forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    names = _names(env)
    for name in [name for name, page in names.items() if page == docname]:
        del names[name]


def _open(writer: nodes.NodeVisitor, node: HtmlElement) -> None:
    writer.body.append(writer.starttag(node, node["tag"], "", **node.get("attributes", {})))


def _close(writer: nodes.NodeVisitor, node: HtmlElement) -> None:
    writer.body.append(f"</{node['tag']}>\n")
