"""Draws measurements as horizontal bars in SVG, for light and dark pages, with a title and a description in words.

One kind of chart says all that the measurements have to say: panels of bars, each panel on a scale of its own.
A tick across a bar is its limit, a line along its end the spread between runs.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 760
_LABELS: Final = 260
_BARS: Final = 310
_ROW: Final = 28
_BAR: Final = 14
_HEADING: Final = 34
_MARGIN: Final = 20
_HEADROOM: Final = 1.08
_WHOLE: Final = 100
_TENTHS: Final = 10

_STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.page { fill: #ffffff } .title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 }
.quiet { fill: #52606d } .label { text-anchor: end }
.figure { fill: #2b6cb0 } .yardstick { fill: #a0aec0 }
.limit { stroke: #c05621; stroke-width: 2.5 } .spread { stroke: #1f2933; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb } .page { fill: #16202a } .quiet { fill: #cbd2d9 }
  .figure { fill: #63a4e8 } .yardstick { fill: #616e7c }
  .limit { stroke: #f6ad55 } .spread { stroke: #e4e7eb }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure. `limit` is where its bar stands, said by `note`; `spread` is the largest run less the smallest."""

    label: str
    value: float
    spread: float = 0
    limit: float | None = None
    note: str = ""
    is_yardstick: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit; `title` names what is measured and the unit."""

    title: str
    bars: Sequence[Bar]


def number(value: float) -> str:
    """A figure for people: whole where it is large, else with three digits that count."""
    if abs(value) >= _WHOLE or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TENTHS else f"{value:.2f}"


def draw(title: str, panels: Sequence[Panel]) -> str:
    """The chart as a file's text; the same panels give the same text."""
    height = _MARGIN * 3 + sum(_HEADING + _ROW * len(panel.bars) for panel in panels)
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "role": "img",
            "aria-labelledby": "title description",
        },
    )
    _add(svg, "title", title, id="title")
    _add(svg, "desc", _words(panels), id="description")
    _add(svg, "style", _STYLE)
    _add(svg, "rect", None, kind="page", width=_WIDTH, height=height, rx=8)
    _add(svg, "text", title, kind="title", x=_MARGIN, y=_MARGIN + 14)
    top = _MARGIN * 2
    for panel in panels:
        _panel(svg, panel, top)
        top += _HEADING + _ROW * len(panel.bars)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _panel(svg: ET.Element, panel: Panel, top: int) -> None:
    _add(svg, "text", panel.title, kind="panel", x=_MARGIN, y=top + _HEADING - 10)
    largest = max(max(bar.value + bar.spread / 2, bar.limit or 0) for bar in panel.bars)
    scale = _BARS / (largest * _HEADROOM or 1)
    for place, bar in enumerate(panel.bars):
        _bar(svg, bar, top + _HEADING + _ROW * place, scale)


def _bar(svg: ET.Element, bar: Bar, top: int, scale: float) -> None:
    middle = top + _ROW // 2
    end = _LABELS + bar.value * scale
    upper = middle - _BAR // 2
    kind = "yardstick" if bar.is_yardstick else "figure"
    _add(svg, "text", bar.label, kind="label", x=_LABELS - 10, y=middle + 4)
    _add(svg, "rect", None, kind=kind, x=_LABELS, y=upper, width=bar.value * scale, height=_BAR, rx=2)
    if bar.spread:
        half = bar.spread * scale / 2
        _line(svg, "spread", (max(_LABELS, end - half), middle), (end + half, middle))
    if bar.limit is not None:
        at = _LABELS + bar.limit * scale
        _line(svg, "limit", (at, upper - 4), (at, upper + _BAR + 4))
    text = _add(svg, "text", number(bar.value), x=_LABELS + _BARS + 12, y=middle + 4)
    if bar.note:
        _add(text, "tspan", bar.note, kind="quiet", dx=8)


def _words(panels: Sequence[Panel]) -> str:
    return " ".join(
        f"{panel.title}: "
        + "; ".join(f"{bar.label} {number(bar.value)} {bar.note}".strip() for bar in panel.bars)
        + "."
        for panel in panels
    )


def _line(svg: ET.Element, kind: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    _add(svg, "line", None, kind=kind, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def _add(parent: ET.Element, tag: str, text: str | None, *, kind: str = "", **attributes: float | str) -> ET.Element:
    named = {"class": kind} if kind else {}
    for name, value in attributes.items():
        named[name] = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
    element = ET.SubElement(parent, tag, named)
    element.text = text
    return element
