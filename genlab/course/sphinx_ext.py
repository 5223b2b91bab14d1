"""What the book adds to Jupyter Book: one small Sphinx extension.

* A page is executed again when a genlab module that it imports has changed, and only then.
* Figures carry the alt text that :mod:`genlab.plot` gave them; an image without one is a warning,
  and a warning fails the build.
* Under each theorem stands the test that checks it.
* Nothing is asked of another host: mathematics comes from the site's own files.
"""

import re
from dataclasses import replace
from pathlib import Path

import jupytext
import nbformat
from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from genlab.course import explorables, quiz, registry, tables
from genlab.course.dependencies import fingerprint, stamped
from genlab.course.finish import finish

FONT = "vendor/fonts/source-serif-4-latin-wght-normal.woff2"

logger = logging.getLogger(__name__)


class FigureWithAltText:
    """MyST-NB renderer of figures: alt text, width and the dark twin come from the metadata."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer, data: MimeData, inline: bool
    ) -> list[nodes.Element] | None:
        if data.mime_type != "image/png" or "alt" not in data.output_metadata.get("image/png", {}):
            return None
        given = data.output_metadata["image/png"]
        images = renderer.render_image(data)
        if "dark" in given:
            images += renderer.render_image(replace(data, content=given["dark"]))
            for image, theme in zip(images, ("only-light", "only-dark"), strict=True):
                image["classes"].append(theme)
        for image in images:
            image["alt"] = given["alt"]
            image["width"] = f"{given['width']}px"
        return images


def local_files_only(app: Sphinx, config) -> None:
    """Mathematics and fonts from the vendored files; without them TeX source and own serif."""
    vendored = Path(app.confdir) / "book" / "_static" / "vendor" / "mathjax"
    config.mathjax_path = "vendor/mathjax/tex-chtml.js" if vendored.is_dir() else "js/no-mathjax.js"
    if (vendored.parent / "fonts").is_dir():
        config.html_css_files.append("fonts.css")
    config.nb_ipywidgets_js = {}  # live widgets are for notebooks; pages have none
    # The theme draws a second search button in an empty bar.
    config.html_theme_options = {**config.html_theme_options, "navbar_persistent": []}


def draw_pictures(app: Sphinx) -> None:
    """Draw the pictures of the landing page where it has them."""
    if (Path(app.confdir) / "genlab" / "course" / "pictures.py").is_file():
        from genlab.course import pictures

        pictures.write(Path(app.confdir) / "book" / "_static" / "pictures")


def without_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Drop the launcher that Jupyter Book loads on each page and this book does not use."""

    def thebe(file) -> bool:
        text = f"{getattr(file, 'filename', file)} {getattr(file, 'attributes', '')}"
        return "thebe" in text.lower()

    for kind in ("script_files", "css_files"):
        if kind in context:
            context[kind] = [file for file in context[kind] if not thebe(file)]


def preload_font(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Have the text's font there before the text is laid out, so that nothing moves."""
    if "fonts.css" in app.config.html_css_files:
        font = context["pathto"](f"_static/{FONT}", 1)
        context["metatags"] = context.get("metatags", "") + (
            f'<link rel="preload" href="{font}" as="font" type="font/woff2" crossorigin>'
        )


def offer_notebook(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Offer each executable page as a notebook in the theme's download menu."""
    if page in _stamps(app.env):
        context["ipynb_source"] = f"{page}.ipynb"


def write_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """Write the notebooks that the pages offer, with the site's macros spelled out."""
    if exception or app.builder.format != "html":
        return
    macros = app.config.mathjax3_config["tex"]["macros"]
    for docname in _stamps(app.env):
        nb = jupytext.read(app.env.doc2path(docname), fmt="md:myst")
        for i, cell in enumerate(nb.cells):
            cell.id = f"{Path(docname).stem}-{i:02d}"  # jupytext's differ each time
            if cell.cell_type == "markdown":
                for name, meaning in macros.items():
                    plain = re.sub(r"\\class\{[\w-]+\}", "", meaning)
                    cell.source = re.sub(rf"\\{name}\b", lambda _, tex=plain: tex, cell.source)
        target = Path(app.outdir) / "_sources" / f"{docname}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, target)


def finish_pages(app: Sphinx, exception: Exception | None) -> None:
    """Repair what the theme leaves undone in the pages."""
    if not exception and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            if "_static" not in page.parts:
                finish(page)


def remember_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the fingerprint of the imported modules where the execution cache takes its key."""
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        stamp = fingerprint(page, Path(app.confdir))
        if text := stamped(source[0], stamp):
            _stamps(app.env)[docname] = stamp
            source[0] = text


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


def widths_hold(app: Sphinx, doctree: nodes.document) -> None:
    """Keep the column widths that a table is given; MyST marks every table as automatic too."""
    for table in doctree.findall(nodes.table):
        if "colwidths-given" in table["classes"] and "colwidths-auto" in table["classes"]:
            table["classes"].remove("colwidths-auto")


def _stamps(env: BuildEnvironment) -> dict[str, str]:
    if not hasattr(env, "genlab_fingerprints"):
        env.genlab_fingerprints = {}
    return env.genlab_fingerprints


def setup(app: Sphinx) -> dict:
    tables.connect(app)
    explorables.connect(app)
    quiz.connect(app)
    app.connect("config-inited", local_files_only, priority=1)
    app.connect("builder-inited", draw_pictures)
    app.connect("source-read", remember_modules)
    app.connect("env-get-outdated", modules_changed)
    app.connect("doctree-read", name_the_tests)
    app.connect("doctree-read", images_have_alt)
    app.connect("doctree-read", widths_hold)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", preload_font)
    app.connect("html-page-context", offer_notebook, priority=400)
    app.connect("build-finished", write_notebooks)
    app.connect("build-finished", finish_pages)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
