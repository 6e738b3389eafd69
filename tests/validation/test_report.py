"""The page: it loads nothing, and who cannot see the plots loses nothing."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from assets.shown import of_value
from pipeline import config, figures, tables
from pipeline.config import ValidationSettings
from pipeline.store import Commit, Lake
from pipeline.validation.leaderboard import rank
from pipeline.validation.report import SECTIONS, comparisons, made, page, write_report
from pipeline.validation.report.blocks import Bullets, Picture, Section, Table, Text
from pipeline.validation.report.results import leaderboard
from tests.validation.test_comparisons import board
from tests.validation.test_leaderboard import scores

TABLE = Table(
    "Scores", ["name", "n", "gain"], [["a <b>", 12000, 0.5], ["c", None, -0.25]], {"gain": "+.2f"}
)


class Page(HTMLParser):
    """Tags with their attributes, and the nesting checked."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def html() -> str:
    picture = Picture(
        figures.curves({"one": [(0, 1), (1, 2)]}, "x", "y"), "a line that rises", TABLE
    )
    sections = [
        Section("First", [Text("said & done"), Bullets(["one", "two"]), TABLE]),
        Section("Second", [picture]),
    ]
    return page("Orchard report: quick", sections)


def test_tables_have_captions_and_headings_for_every_row_and_column(html: str) -> None:
    read = Page(html)
    assert len(read.all("table")) == len(read.all("caption")) == 2
    scopes = [attributes.get("scope") for attributes in read.all("th")]
    assert scopes.count("col") == 6 and scopes.count("row") == 4 and None not in scopes
    assert "a &lt;b&gt;" in html and ">12,000<" in html and ">+0.50<" in html and ">–<" in html
    assert (
        read.all("html")[0]["lang"] == "en"
        and len(read.all("h1")) == 1
        and len(read.all("main")) == 1
    )


def test_every_picture_has_words_and_its_figures_as_a_table(html: str) -> None:
    (image,) = Page(html).all("img")
    assert image["alt"] == "a line that rises" and html.index("<details>") < html.rindex("Scores")
    ids = {attributes.get("id") for _, attributes in Page(html).tags}
    links = [attributes["href"] for attributes in Page(html).all("a")]
    assert links == ["#s1", "#s2"] and {link[1:] for link in links if link} <= ids


def test_the_page_loads_nothing(html: str) -> None:
    read = Page(html)
    assert not {"script", "link", "iframe", "object", "video"} & {tag for tag, _ in read.tags}
    loads = [
        a[name] or ""
        for _, a in read.tags
        for name in ("src", "href", "srcset", "action")
        if name in a
    ]
    assert all(load.startswith(("data:", "#")) for load in loads)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@media print" in style and "url(" not in style and "@import" not in style
    svg = base64.b64decode(re.findall(r"base64,([^\"]+)", html)[0]).decode()
    assert (
        all(link.startswith("#") for link in re.findall(r"href=\"([^\"]+)", svg))
        and "<image" not in svg
    )


def test_equal_plots_give_equal_pages(html: str) -> None:
    picture = Picture(
        figures.curves({"one": [(0, 1), (1, 2)]}, "x", "y"), "a line that rises", TABLE
    )
    assert picture.svg in html


def test_lines_differ_by_more_than_their_colour() -> None:
    figure = figures.curves({name: [(0, 0), (1, 1)] for name in "abcdef"}, "x", "y")
    looks = {(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 6
    grid = figures.panels({f"v{i}": {"seed 0": [(0.0, 1.0)]} for i in range(4)}, "step", "loss")
    assert [axes.get_title() for axes in grid.axes[:4]] == ["v0", "v1", "v2", "v3"]


def test_the_same_section_becomes_metadata_of_the_run() -> None:
    section = Section("First", [Text("said"), Bullets(["one"]), TABLE, Picture(Figure(), "a plot")])
    shown = of_value(section, "First").value
    assert shown.startswith(
        "said\n\n- one\n\n**Scores**\n\n| name | n | gain |\n"
        "| --- | ---: | ---: |\n| a \\<b\\> | 12,000 | +0.50 |"
    )
    assert "![a plot](data:image/png;base64," in shown


def test_an_empty_lake_has_a_page_too(tmp_path: Path) -> None:
    with Lake(tmp_path) as lake:
        sections = made(lake, config.load("quick"))
        assert (
            made(lake, config.load("quick"), ["osp has no pair."])[1].title
            == "Variants without a policy"
        )
    assert 0 < len(sections) < len(SECTIONS)
    path = write_report(sections, config.load("quick"), tmp_path / "report.html")
    assert (
        "No variant was trained." in path.read_text()
        and [file.name for file in tmp_path.glob(".report*")] == []
    )


def test_the_page_names_the_method_that_each_variants_interval_is_from(tmp_path: Path) -> None:
    evaluations = pl.concat(
        [
            scores("base", 0, [0.0, 0.5, 0.25, 0.25]),
            scores("many", 0, [0.5, 1.0, 0.75, 1.0]),
            scores("many", 1, [0.5, 1.0, 1.0, 0.5]),
            scores("one", 0, [0.25, 0.25, 0.0, 0.5]),
        ]
    )
    runs = tables.empty("training_runs")
    board = rank(
        evaluations,
        runs,
        {},
        ValidationSettings(bootstrap=100),
        0,
        tests=[f"p{i}" for i in range(4)],
    )
    with Lake(tmp_path) as lake:
        lake.write("leaderboard", board, Commit("test"))
        text = leaderboard(lake, config.load("quick")).blocks[0]
    assert isinstance(text, Text)
    assert "Intervals (95%) and p: paired bootstrap and sign flips over prompts, for " in text.text
    assert (
        "(one); t over prompts and seeds (Satterthwaite), for other prompts and other" in text.text
    )
    assert "seeds (many). The p are" in text.text and "base)" not in text.text


def test_tests_against_controls_and_rivals_have_a_section_of_their_own(tmp_path: Path) -> None:
    _, found = board()
    with Lake(tmp_path) as lake:
        assert comparisons.tests(lake, config.load("quick")) is None
        lake.write("comparisons", found, Commit("test"))
        section = comparisons.tests(lake, config.load("quick"))
    assert section is not None
    drawn = [block for block in section.blocks if isinstance(block, Picture)]
    titles = [comparisons.FAMILIES[family] for family in ("control", "pairwise")]
    assert [one.data.caption for one in drawn if one.data] == titles
    assert "tree beats its control tree_shuffled by +0.500" in page("Report", [section])
