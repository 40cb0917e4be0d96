"""Small server-rendered pages: no scripts, nothing loaded from anywhere, fit for a phone and for paper."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Annotated, Final, Literal

from fastapi import Query
from starlette.responses import Response

Language = Annotated[Literal["fr", "en"], Query(alias="lang", description="Language of the texts.")]

_STYLE: Final = """\
body{font:1.05rem/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}
:root{color:#1b1b1b;background:#fff}main{overflow-x:auto}h1,p{max-width:46rem}h1,td{overflow-wrap:anywhere}
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%;min-width:52rem;margin-bottom:1.5rem}
caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{border-bottom:1px solid #767676;padding:.3rem .5rem;text-align:left;vertical-align:top}
td.number{text-align:right}
@media print{body{margin:0;max-width:none;font-size:9pt}table{min-width:0}tr{break-inside:avoid}nav{display:none}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page(language: str, title: str, body: str) -> str:
    """A whole document; `title` is text, `body` is HTML whose texts its maker has escaped."""
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> str:
    """A table with its heading; every cell is escaped, figures stand to the right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: str | int | None) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    return f"<td>{escape(value or '')}</td>"


def answer_html(document: str, *, status: int = 200) -> Response:
    """A page with headers that let it do nothing but be read."""
    return Response(document, status_code=status, media_type="text/html; charset=utf-8", headers=_HEADERS)
