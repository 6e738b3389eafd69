"""docs/sources.md tells every layout with its columns, and every variant of a source."""

import re

from pipeline.config import SourceSettings, load
from pipeline.preferences.sourced import variants
from pipeline.shipped import ROOT
from pipeline.sources.layout import LAYOUTS

ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
LAYOUT_PART, _, VARIANT_PART = PAGE.partition("## A source as variants")


def test_the_page_lists_every_layout_with_the_columns_that_tell_it() -> None:
    told = {name: set(re.findall(r"`(\w+)`", cells)) for name, cells, _ in ROW.findall(LAYOUT_PART)}
    known = LAYOUTS.all()
    assert set(told) == set(known)
    for name, layout in known.items():
        assert any(form <= told[name] for form in layout.forms), name


def test_the_docs_tell_every_variant_of_a_source() -> None:
    settings = load("quick").model_copy(update={"sources": (SourceSettings(name="uf"),)})
    made = variants(settings)
    cells = [row.split("|") for row in VARIANT_PART.split("\n") if row.startswith("| `")]
    told = {row[1].strip(" `"): (row[3], row[4].strip(" `")) for row in cells}
    assert set(told) | {control for _, control in told.values()} == set(made)
    for name, (loss, control) in told.items():
        assert made[control].control_of == name
        assert loss.strip(" `") == (made[name].loss or "the profile's")
