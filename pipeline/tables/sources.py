"""Tables of preference data that exist: their prompts."""

import dataframely as dy

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import SPLITS


@table("source_prompts")
class SourcePrompts(dy.Schema):
    """One row per prompt of imported pairs, under the id that it has wherever it comes from."""

    origin = col.identifier("the source that its pairs were imported from", key=True)
    recorded_id = col.identifier("the prompt's id in recorded_pairs", key=True)
    prompt_id = col.identifier(
        "its id in pairs: that of the pool's prompt with the same turns, else recorded_id"
    )
    split = col.choice(SPLITS, "train, validation or test: by hash of the turns, as for pools")
    messages = col.messages("its turns")
    task = col.text("what it asks for, told by its words: code, maths, writing, ...")
    n_turns = col.count("turns of the user")
    chars = col.count("characters of all turns")
    n_pairs = col.count("imported pairs whose better side is known")
