"""What the book adds to Jupyter Book: one small Sphinx extension.

* A page is executed again when a genlab module that it imports has changed, and only then.
* Figures carry the alt text that :mod:`genlab.plot` gave them; an image without one is a warning,
  and a warning fails the build.
* Under each theorem stands the test that checks it.
* Nothing is asked of another host: mathematics comes from the site's own files.
"""

import re
from pathlib import Path

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from genlab.course import registry
from genlab.course.dependencies import fingerprint

logger = logging.getLogger(__name__)
_KERNELSPEC = re.compile(r"\A---\n.*?^kernelspec:\n", re.DOTALL | re.MULTILINE)


class FigureWithAltText:
    """MyST-NB renderer of PNG outputs: alt text and width come from the output's metadata."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer, data: MimeData, inline: bool
    ) -> list[nodes.Element] | None:
        if data.mime_type != "image/png" or "alt" not in data.output_metadata.get("image/png", {}):
            return None
        given = data.output_metadata["image/png"]
        (image,) = renderer.render_image(data)
        image["alt"] = given["alt"]
        if "width" in given:
            image["width"] = f"{given['width']}px"
        return [image]


def local_files_only(app: Sphinx, config) -> None:
    """Mathematics from the vendored MathJax, or, without one, formulas left as TeX."""
    vendored = Path(app.confdir) / "book" / "_static" / "vendor" / "mathjax"
    config.mathjax_path = (
        "vendor/mathjax/tex-mml-chtml.js" if vendored.is_dir() else "js/no-mathjax.js"
    )
    config.nb_ipywidgets_js = {}  # live widgets are for notebooks; pages have none
    # The theme draws a second search button in an empty bar.
    config.html_theme_options = {**config.html_theme_options, "navbar_persistent": []}


def without_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Drop the launcher that Jupyter Book loads on each page and this book does not use."""

    def thebe(file) -> bool:
        text = f"{getattr(file, 'filename', file)} {getattr(file, 'attributes', '')}"
        return "thebe" in text.lower()

    for kind in ("script_files", "css_files"):
        if kind in context:
            context[kind] = [file for file in context[kind] if not thebe(file)]


def remember_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the fingerprint of the imported modules where the execution cache takes its key."""
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md" and (head := _KERNELSPEC.match(source[0])):
        stamp = fingerprint(page, Path(app.confdir))
        _stamps(app.env)[docname] = stamp
        source[0] = f"{head[0]}  fingerprint: '{stamp}'\n{source[0][head.end() :]}"


def modules_changed(app: Sphinx, env: BuildEnvironment, added, changed, removed) -> list[str]:
    """Pages to read again because a module changed under them."""
    return [
        docname
        for docname, stamp in _stamps(env).items()
        if docname in env.found_docs
        and stamp != fingerprint(Path(env.doc2path(docname)), Path(app.confdir))
    ]


def name_the_tests(app: Sphinx, doctree: nodes.document) -> None:
    """Write under each labelled theorem which test checks it."""
    root = Path(app.confdir)
    claims = [n for n in doctree.findall(nodes.Element) if n.get("realtype") in registry.CLAIMS]
    if not claims:
        return
    proofs = registry.marks(root, "proves")
    for file in (root / "tests").glob("test_*.py"):
        app.env.note_dependency(str(file))
    for claim in claims:
        tests = proofs.get(claim.get("label", ""), [])
        if not tests:
            logger.warning("no test proves the label %r", claim.get("label"), location=claim)
            continue
        line = nodes.paragraph(classes=["checked-by"])
        line += nodes.Text("Checked by ")
        for i, test in enumerate(tests):
            line += nodes.Text(", ") if i else nodes.Text("")
            line += nodes.literal(text=test)
        claim += line


def images_have_alt(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of an image whose alt text is missing or is its file's name."""
    for image in doctree.findall(nodes.image):
        alt = image.get("alt", "")
        if len(alt) < 20 or alt.endswith((".png", ".svg", ".jpg")):
            logger.warning("image without alt text: %s", image.get("uri"), location=image)


def _stamps(env: BuildEnvironment) -> dict[str, str]:
    if not hasattr(env, "genlab_fingerprints"):
        env.genlab_fingerprints = {}
    return env.genlab_fingerprints


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", local_files_only, priority=1)
    app.connect("source-read", remember_modules)
    app.connect("env-get-outdated", modules_changed)
    app.connect("doctree-read", name_the_tests)
    app.connect("doctree-read", images_have_alt)
    app.connect("html-page-context", without_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
