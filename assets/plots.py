"""Small plots as Markdown metadata for the UI."""

import base64
import io
from collections.abc import Mapping, Sequence

import dagster as dg
from matplotlib.figure import Figure

from pipeline.validation import figures
from pipeline.validation.report.blocks import Block, Bullets, Picture, Section, Text


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


def markdown(section: Section) -> dg.MarkdownMetadataValue:
    """A section of the report as it stands there, for the UI."""
    return dg.MetadataValue.md("\n\n".join(_block(block) for block in section.blocks))


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Picture):
        return str(inline(block.figure, block.alt).md_str)
    lines = [block.columns, ["---:" if number else "---" for number in block.numeric], *block.cells]
    table = ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([f"**{block.caption}**", "", *table])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
