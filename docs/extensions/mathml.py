"""Formulas as MathML, which browsers draw themselves: pages need no script and no network."""

import re
from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
FUNCTION = r"(\\(?:log|ln|exp|sin|cos|tan|sinh|cosh|tanh|max|min)\b)"
ALSO = {  # where docutils differs from LaTeX
    r"\\dots\b": r"\\ldots",
    r"\\[bB]igg?[lrm]?\b": "",  # MathML's brackets grow with their content
    r"\\lvert\b": r"\\left|",  # else it would be spaced like a relation
    r"\\rvert\b": r"\\right|",
    r"(?<!left)(?<!right)\|([^|\\]+)\|": r"\\left|\1\\right|",
    r"\\frac\s*(\w)\s*(\w)": r"\\frac{\1}{\2}",  # \frac12, which it takes for 12 over the rest
    r"([\w}])\s*" + FUNCTION: r"\1 \\, \2",
    FUNCTION + r"\s+(?!\\left|\\,)(?=[\w\\])": r"\1 \\, ",
}


def visit_inline(writer, node):
    writer.body.append(converted(node, as_block=False))
    raise nodes.SkipNode


def visit_block(writer, node):
    writer.body.append(f'<div class="formula">{converted(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def converted(node, as_block):
    tex = node.astext().strip()
    for pattern, replacement in ALSO.items():
        tex = re.sub(pattern, replacement, tex)
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logger.warning("no MathML for %s: %s", tex, error, location=node)
        return f"<code>{escape(tex)}</code>"


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
