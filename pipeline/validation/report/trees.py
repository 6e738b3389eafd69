"""The trees that were grown."""

from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.trees.facts import showpiece
from pipeline.trees.picture import picture
from pipeline.validation.report.blocks import Picture, Section, Table


def forest(lake: Reader, _: Settings) -> Section | None:
    """The tree whose values are spread most, and how many trees learned nothing;
    null where there is no tree.
    """
    rows = showpiece(lake.read("tree_nodes"))
    if not rows:
        return None
    prompt, flat = rows[0]["prompt_id"], lake.query_file("flat_trees")
    titles = ["pool", "method", "trees", "all wrong", "all right", "share"]
    cells = flat.select("pool", "method", "trees", "all_wrong", "all_right", "flat").rows()
    return Section(
        "Trees",
        [
            Picture(
                picture(rows),
                f"Reasoning tree of prompt {prompt}: each step with its value, "
                "the best path marked; "
                f"the command orchard tree {prompt} prints it.",
            ),
            Table(
                "Trees that learned nothing: every step valued 0, or every step 1",
                titles,
                cells,
                {"share": ".2f"},
            ),
        ],
    )
