"""Single responses with a thumb up or down, as TRL and KTO (Ethayarajh et al. 2024) read them."""

from pipeline.cells import BadRow, Row
from pipeline.prompts.turns import read_prompt
from pipeline.sources import trl
from pipeline.sources.answers import Answer, Answers
from pipeline.sources.labels import one_of
from pipeline.sources.layout import layout

THUMBS = {"true": 1.0, "1": 1.0, "desirable": 1.0, "false": 0.0, "0": 0.0, "undesirable": 0.0}


@layout("single responses with a thumb (TRL)", "prompt completion label")
def thumbs(row: Row) -> Answers:
    """One response; it belongs to no list and makes no pair."""
    label = one_of(row.get("label"), "label", THUMBS)
    if label is None:
        raise BadRow("no label")
    prompt = read_prompt(row.get("prompt"), "prompt")
    before, text = trl.side(row.get("completion"), "completion")
    if before and before != prompt:
        raise BadRow("completion begins with other turns than the prompt's")
    return Answers(prompt, (Answer(text, desirable=bool(label)),), is_list=False)
