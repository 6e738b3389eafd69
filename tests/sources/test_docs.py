"""docs/sources.md tells every layout, with its columns."""

import re

from pipeline.shipped import ROOT
from pipeline.sources.layout import LAYOUTS

ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \| (.+) \|$", re.MULTILINE)


def test_the_page_lists_every_layout_with_the_columns_that_tell_it() -> None:
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    told = {name: set(re.findall(r"`(\w+)`", cells)) for name, cells, _ in ROW.findall(page)}
    known = LAYOUTS.all()
    assert set(told) == set(known)
    for name, layout in known.items():
        assert any(form <= told[name] for form in layout.forms), name
