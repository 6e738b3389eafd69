"""Small plots as Markdown metadata for the UI."""

import base64
import io
from collections.abc import Mapping, Sequence

import dagster as dg
from matplotlib.figure import Figure

from pipeline.validation import figures


def histogram(values: Sequence[float], x: str, y: str) -> dg.MarkdownMetadataValue:
    """A histogram as an inline picture."""
    return inline(figures.histogram(values, x, y), f"histogram of {x}")


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> dg.MarkdownMetadataValue:
    """Named curves as an inline picture."""
    return inline(figures.curves(lines, x, y), f"{y} against {x}")


def inline(figure: Figure, alt: str) -> dg.MarkdownMetadataValue:
    """A figure as an inline picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=70)
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
