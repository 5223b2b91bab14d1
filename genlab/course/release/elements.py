"""XML, an element at a time."""

from xml.dom.minidom import CDATASection, Document, Element


class _Html(CDATASection):
    """HTML as it stands; what would end the section is divided between two."""

    def writexml(self, writer, indent="", addindent="", newl=""):
        writer.write(f"<![CDATA[{self.data.replace(']]>', ']]]]><![CDATA[>')}]]>")


def add(parent: Document | Element, name: str, text: str = "", /, **attributes: str) -> Element:
    """Put a new element into ``parent``, with a text in it, and return it."""
    document = parent.ownerDocument or parent
    element = parent.appendChild(document.createElement(name))
    for key, value in attributes.items():
        element.setAttribute(key, value)
    if text:
        element.appendChild(document.createTextNode(text))
    return element


def add_html(parent: Element, name: str, html: str) -> Element:
    """The same with HTML in it, in a CDATA section."""
    element = add(parent, name)
    section = _Html()
    section.data = html
    element.appendChild(section)
    return element


def written(document: Document) -> bytes:
    """The document as a file."""
    return document.toprettyxml(indent="  ", encoding="UTF-8")
