"""The parts that every page shares: the document and its style, tables, escaped text."""

import base64
import hashlib
import html
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from jwgan.check import require

STYLE = """
:root{color-scheme:light dark;--bg:#fcfbf9;--ink:#1d1c1a;--soft:#6c6860;--rule:#e4e0d8;
--pale:#f3f0ea;--c0:#1d5fbf;--c1:#b4530a;--c2:#2f7d4f;--c3:#8a4fa8}
@media(prefers-color-scheme:dark){:root{--bg:#151514;--ink:#e9e6e0;--soft:#9b968c;--rule:#302e2b;
--pale:#1f1e1c;--c0:#7db0ff;--c1:#f0a45c;--c2:#7fce9e;--c3:#cf9be8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1060px;margin:0 auto;padding:56px 28px 40px}
h1,h2{font-family:"Iowan Old Style","Palatino Linotype",Palatino,Georgia,"DejaVu Serif",serif;
font-weight:600;text-wrap:pretty}
h1{font-size:clamp(26px,4vw,38px);line-height:1.18;margin:0 0 20px;max-width:26em}
h2{font-size:21px;margin:0 0 16px}
section{margin-top:52px}
.over{margin:0 0 6px;color:var(--soft);font-size:13px;letter-spacing:.03em}
.notice{border-left:3px solid var(--c1);padding:2px 0 2px 12px;margin:8px 0}
.headline{display:flex;flex-wrap:wrap;margin:26px 0 0;padding:16px 0;gap:14px 44px;
border:solid var(--rule);border-width:1px 0}
.headline dt,.hint,figcaption,footer,.film label,.ticks{color:var(--soft);font-size:12.5px}
.headline dd{margin:0;font-size:23px;line-height:1.3}
.film{display:grid;grid-template:repeat(4,auto) 1fr/minmax(0,600px) repeat(3,minmax(0,1fr));
gap:14px 16px;align-items:start}
.film input{position:absolute;opacity:0;pointer-events:none}
.film label{cursor:pointer;text-align:center}
.film label .p{display:block;margin-bottom:4px}
.film label:hover{color:var(--ink)}
.film input:checked+label{color:var(--ink);font-weight:600}
.film input:checked+label .p{outline:2px solid var(--c0);outline-offset:2px}
.film input:focus-visible+label{outline:2px solid var(--c0);outline-offset:4px}
.film figure{display:none;margin:0 12px 0 0;grid-area:1/1/span 5}
.film input:checked+label+figure{display:block}
.p{background:center/contain no-repeat;width:100%;border-radius:3px}
figcaption{margin-top:6px}
.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:38px 44px}
.chart:first-child{grid-column:1/-1}
.chart h3{font-size:15px;font-weight:600;margin:0}
.key{margin:2px 0 10px;font-size:13px;display:flex;flex-wrap:wrap;gap:0 16px}
.key i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 0}
.plot{position:relative;height:190px;margin:0 0 24px 46px}
.chart:first-child .plot{height:250px}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:hidden}
.plot path,.plot line{vector-effect:non-scaling-stroke;fill:none;stroke-linejoin:round}
.ticks span{position:absolute;white-space:nowrap;line-height:1}
.y span{right:100%;transform:translateY(50%);margin-right:8px}
.x span{top:100%;transform:translateX(-50%);margin-top:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{border-bottom:1px solid var(--rule);padding:6px 0;text-align:left;vertical-align:top;
overflow-wrap:anywhere}
th{font-weight:400;color:var(--soft);padding-right:18px;width:42%}
td table tr:last-child>*{border:0}
.wide{overflow-x:auto;background:
linear-gradient(90deg,var(--bg) 40%,transparent) 0/40px 100% no-repeat local,
linear-gradient(270deg,var(--bg) 40%,transparent) 100%/40px 100% no-repeat local,
linear-gradient(90deg,var(--rule),transparent) 0/16px 100% no-repeat,
linear-gradient(270deg,var(--rule),transparent) 100%/16px 100% no-repeat}
.wide th,.wide td{width:auto;padding-right:18px;overflow-wrap:normal}
.wide .prose{white-space:normal;overflow-wrap:anywhere;min-width:16em}
.facts{columns:2;column-gap:44px}
.facts>div{break-inside:avoid;padding-bottom:40px}
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:3px 10px;
align-items:center}
.bars i{background:var(--pale)}.bars b{display:block;height:9px;background:var(--c0);opacity:.8}
pre{background:var(--pale);padding:14px 16px;border-radius:4px;overflow-x:auto;margin:0 0 10px}
code{overflow-wrap:anywhere}code,pre{font:13px/1.6 ui-monospace,Menlo,Consolas,monospace}
footer{margin-top:56px;border-top:1px solid var(--rule);padding-top:14px}
@media(max-width:720px){main{padding:32px 18px}.charts{display:block}
.facts{columns:1}.film{grid-template:auto/repeat(4,minmax(0,1fr))}
.film figure{order:-1;grid-area:auto/1/auto/-1;margin:0 0 8px}
.chart{margin-bottom:48px}.headline{gap:12px 30px}.headline dd{font-size:20px}}
"""


def document(title: str, body: str, footer: str, script: str = "") -> str:
    r"""A whole page around the HTML of its body; `title` and `footer` are plain text.

    Args:
      title: of the page.
      body: HTML.
      footer: a line below.
      script: the one program that the page may run, at its end; most pages have none.

    Raises:
      ValueError: the script would end its own element.

    >>> page = html.document("Two runs", "<p>one and two</p>", "Made by hand.")
    >>> page[page.index("<main>") : page.index("</body>")].splitlines()
    ['<main>', '<p>one and two</p>', '<footer>Made by hand.</footer>', '</main>']
    >>> html.document("", "", "", script="</script>")
    Traceback (most recent call last):
    ValueError: script is 'a closing tag': write <\/script
    """
    require("</script" not in script.lower(), "script", "a closing tag", "write <\\/script")
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    program = ""
    if script:
        # Named by its hash: a browser runs these very bytes, and still none that slipped in.
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        program = f"<script>{script}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # A second fence behind `text`: names and messages on the page come from files of strangers,
        # and with this policy a browser runs no script and asks no server, even if one slipped
        # through.
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        f"{body}\n<footer>{text(footer)}</footer>\n</main>{program}</body></html>\n"
    )


# --- pictures


def png_size(png: bytes) -> tuple[int, int] | None:
    """Width and height of a whole PNG file, None for anything else.

    >>> from jwgan.report import plots
    >>> html.png_size(plots.png(plots.figure(3, 2, dpi=100))), html.png_size(b"no picture")
    ((300, 200), None)
    """
    # 45 bytes: signature 8, header chunk 25, end chunk 12. The end is looked at as well, since a
    # broken copy has the right beginning.
    if len(png) < 45 or png[:8] != b"\x89PNG\r\n\x1a\n" or png[-8:-4] != b"IEND":
        return None
    # The header chunk is always the first: its sizes are at bytes 16 to 24, big-endian.
    width, height = struct.unpack(">II", png[16:24])
    # An aspect ratio with a 0 would make the picture invisible.
    return (width, height) if width and height else None


# --- text and tables


def text(value: Any) -> str:
    """Escapes a value for HTML, in an element or in a quoted attribute.

    >>> from jwgan.report import html
    >>> html.text('<b class="x">')
    '&lt;b class=&quot;x&quot;&gt;'
    """
    return html.escape(str(value))


def words(name: Any) -> str:
    """A metric's or an option's name in words.

    >>> from jwgan.report import html
    >>> html.words("exact_w1")
    'exact w1'
    """
    return str(name).replace("_", " ")


def title(name: Any) -> str:
    """A name in words, with a capital.

    >>> from jwgan.report import html
    >>> html.title("exact_w1")
    'Exact w1'
    """
    return words(name)[:1].upper() + words(name)[1:]


def table(
    head: Sequence[Any], rows: Sequence[Sequence[Any]], caption: str = "", prose: int | None = None
) -> str:
    """A table in a box of its own, which scrolls sideways where the page is too narrow for it.

    The box has a shadow at an edge behind which there is more of the table.

    Args:
      head: the columns' titles.
      rows: the cells, as plain text; the first one names its row.
      caption: a line below the table.
      prose: number of the column that holds sentences, whose lines may break.

    >>> page = html.table(["run", "W1", "slope"], [["a", 0.5, 1]])
    >>> page[page.index("<tbody>") : page.index("</table>")]
    '<tbody><tr><th scope="row">a</th><td>0.5</td><td>1</td></tr></tbody>'
    """

    def cells(row: Sequence[Any]) -> Iterator[str]:
        yield f'<th scope="row">{text(row[0])}</th>'
        for i, cell in enumerate(row[1:], 1):
            kind = ' class="prose"' if i == prose else ""
            yield f"<td{kind}>{text(cell)}</td>"

    below = f"<caption>{text(caption)}</caption>" if caption else ""
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(cells(row))}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>{below}<thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
