"""Mathematics in docstrings and pages: LaTeX between dollar signs becomes MathML.

Browsers draw MathML themselves: no program and no font is loaded for it.
"""

import functools
import re
from collections.abc import Callable

from jwgan import check

# Code, in which a dollar sign is one, and mathematics; what begins first wins.
PARTS = re.compile(
    r"(?P<code>^```.*?^```|^~~~.*?^~~~|(?P<ticks>`+).+?(?P=ticks)|^(?: {4}|>>>|\.\.\.).*?$)"
    r"|\$\$(?P<display>.+?)\$\$"
    r"|(?<![\\\w])\$(?P<inline>(?!\s)[^$]+?(?<!\s))\$(?!\w)",
    re.DOTALL | re.MULTILINE,
)


@functools.cache
def to_mathml(latex: str, display: bool = False) -> str:
    r"""Converts LaTeX to a MathML element on one line.

    >>> print(to_mathml("x"))
    <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>

    Raises:
      MissingPackageError: latex2mathml is not installed.
      ValueError: the converter cannot read it.
    """
    check.require_package("latex2mathml", "reference")
    import latex2mathml.converter

    text = " ".join(latex.split())
    try:
        made = latex2mathml.converter.convert(text, display="block" if display else "inline")
    except Exception as error:
        raise ValueError(f"mathematics is {text!r}: {check.one_line(error)}") from error
    # What it does not know it passes on as text, backslash and all.
    check.require("\\" not in made, "mathematics", text, "write what latex2mathml knows")
    return made


def convert(text: str, to_html: Callable[[str], str]) -> str:
    """Converts Markdown with mathematics to HTML.

    Markdown would read the underscores of a formula as emphasis, so it sees a word in the place of
    each one.

    Args:
      text: Markdown; dollar signs in code are left alone.
      to_html: converts Markdown without mathematics.

    >>> convert("`$a$`", lambda text: f"<p>{text}</p>")
    '<p>`$a$`</p>'
    """
    formulas: list[str] = []

    def take(found: re.Match[str]) -> str:
        latex = found["display"] or found["inline"]
        if latex is None:
            return found[0]
        formulas.append(to_mathml(latex, display=found["display"] is not None))
        return f"FORMULA{len(formulas) - 1}X"

    html = to_html(PARTS.sub(take, text))
    return re.sub(r"FORMULA(\d+)X", lambda found: formulas[int(found[1])], html)
