"""The report with hostile texts in a real Chromium: it asks nobody, runs nothing, shows each."""

from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.escaped import visible
from pipeline.validation.report import write_report
from pipeline.validation.report.blocks import Bullets, Section, Table, Text
from tests.hostile import TEXTS
from tests.real.test_ui import CHROMIUM, FLAGS


@pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)
def test_a_page_of_hostile_texts_asks_nobody_and_shows_each(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    sections = [
        Section(name, [Text(text), Bullets([text]), Table(text, [text, "n"], [[text, "1"]])])
        for name, text in TEXTS.items()
    ]
    path = write_report(sections, load("quick"), tmp_path / "report.html")
    asked: list[str] = []
    dialogs: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        title, shown = page.title(), page.inner_text("body")
        links = page.eval_on_selector_all("a", "found => found.map(one => one.href)")
        scripts = page.eval_on_selector_all("script, img, iframe, object", "found => found.length")
        browser.close()
    assert asked == [path.as_uri()] and dialogs == [] and scripts == 0
    assert title == "Orchard report: quick"
    assert all(link.startswith(path.as_uri() + "#") for link in links)
    words = " ".join(shown.split())
    hidden = [name for name, text in TEXTS.items() if " ".join(visible(text).split()) not in words]
    assert hidden == []
