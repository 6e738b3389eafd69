"""Tables of synthetic preferences: instructions, commits and code."""

import dataframely as dy
import polars as pl

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import SPLITS


@table("instructions")
class Instructions(dy.Schema):
    """One row per synthetic prompt and what it is compared with (MAPL)."""

    synthesis_id = col.identifier("hash of kind, both contexts and responses", key=True)
    kind = col.choice(
        ["intra", "inter"],
        "one response under two prompts, or two responses under a prompt and its origin",
    )
    condition = col.choice(
        ["A", "B", "chosen", "rejected"],
        "intra: the paper's condition; "
        "inter: which response of the original pair fulfils what was added",
    )
    prompt_id = col.identifier("the prompt it was made from; its split is that prompt's")
    split = col.choice(SPLITS, "the prompt's split")
    messages = col.messages("chat turns with instructions added: intra, those of the better prompt")
    other_messages = col.messages(
        "intra: the worse prompt, as many instructions; inter: the prompt as it was"
    )
    instructions = col.text("JSON of the added instructions, in IFEval's columns")
    other_instructions = col.text(
        "JSON of those of the worse prompt; null where none were added", nullable=True
    )
    response_id = col.identifier("the response: inter, the one that fulfils all that was added")
    other_id = col.identifier(
        "inter: the response that fulfils nothing of it; intra: the same response"
    )
    fulfilled = col.share("share of `instructions` that the response fulfils")
    other_fulfilled = col.share(
        "intra: share of `other_instructions` that it fulfils; "
        "inter: of `instructions`, the other response"
    )
    reworded = col.count(
        "of `instructions`: how many stand in the model's words; the others in a template's"
    )
    tokens = col.count("tokens sampled for the rewording; 0 without it")
    recipe = col.recipe()

    @dy.rule()
    def never_of_a_test_prompt(cls) -> pl.Expr:
        return pl.col("split") != "test"

    @dy.rule()
    def better_side_fulfils_more(cls) -> pl.Expr:
        return pl.col("fulfilled") > pl.col("other_fulfilled")


@table("code_changes")
class CodeChanges(dy.Schema):
    """One row per repository and commit that changed one function or file,
    mined with git (CodeFavor).
    """

    change_id = col.identifier("hash of commit, path and name: the same in every clone", key=True)
    repository = col.identifier("name of the repository's folder, and its first commit's", key=True)
    commit = col.text("its hash")
    path = col.text("the changed file")
    unit = col.choice(
        ["function", "file"], "what changed: one function or method, or more of a small file"
    )
    name = col.text("qualified name of the function; null for a file", nullable=True)
    message = col.text("the commit's message, stripped")
    old = col.text("the code before")
    new = col.text("the code after")
    licence = col.text("SPDX name of the repository's licence at that commit")


@table("recorded_code")
class RecordedCode(dy.Schema):
    """One row per code pair, or critic's reply,
    that was imported from a file (`orchard import-code`).
    """

    record_id = col.identifier("hash of origin, task and both codes", key=True)
    origin = col.text("the file that it was imported from")
    method = col.choice(
        ["recorded", "commit", "evol"],
        "two programs, or a critic's reply in the form of that method",
    )
    messages = col.messages("chat turns that both codes answer")
    instruction = col.text("the task in words")
    criteria = col.text(
        "what the improvement is about; null where the file does not say", nullable=True
    )
    naive = col.text("the code before")
    improved = col.text("the code that is held to be better")
    feedback = col.text("the comparison in words; null where the file has none", nullable=True)
    reflection = col.text(
        "what a critic thought of the draft; null where there is none", nullable=True
    )
    tests = col.text(
        "JSON for the verifier `code`; null where the file has no tests", nullable=True
    )
    source = col.text("where the file's author has it from; else its row in the file")
    licence = col.text("licence that the file gives; else unknown")
    critic = col.text("who improved it; else the file's name")
    drafter = col.text("who wrote the code before; else the file's name")
    metadata = col.text("JSON of the file's other columns; null: none", nullable=True)


@table("code_pairs")
class CodePairs(dy.Schema):
    """One row per naive and improved code for one task (CodeFavor),
    and what execution and analysis say of them.
    """

    code_pair_id = col.identifier("hash of method, prompt, both codes and critic", key=True)
    method = col.choice(
        ["commit", "evol", "recorded"], "Commit-Instruct, Critic-Evol, or two imported programs"
    )
    prompt_id = col.identifier(
        "its prompt: of the pool (evol), or hash of messages (commit, imported)"
    )
    split = col.choice(SPLITS, "the prompt's split, by hash of its messages")
    messages = col.messages("chat turns that both codes answer")
    instruction = col.text("the task in words")
    criteria = col.text(
        "what the improvement is about; null where a file does not say", nullable=True
    )
    naive = col.text("the code before: a first attempt, or the commit's old code rephrased")
    improved = col.text("the code after")
    feedback = col.text(
        "the critic's comparison; null where a file has none, or the critic ended before it",
        nullable=True,
    )
    reflection = col.text("what the critic thought of the draft; null for commits", nullable=True)
    source = col.text("the mined change, the prompt, or the file's row that it came from")
    licence = col.text("licence of that source")
    policy_id = col.identifier("the critic: a model here, or the name that a file gives")
    draft_id = col.identifier(
        "who wrote the naive code: a model here, or the name that a file gives"
    )
    tokens = col.count("sampled tokens, all turns; 0 where imported")
    naive_held = col.share(
        "share of the task's assertions that hold for the naive code; null without tests",
        nullable=True,
    )
    improved_held = col.share("the same for the improved code", nullable=True)
    naive_passed = col.flag(
        "true where the naive code passes its tests; null without tests", nullable=True
    )
    improved_passed = col.flag("the same for the improved code", nullable=True)
    naive_seconds = col.number(
        "least CPU time of its timing runs; null where it was not timed", nullable=True
    )
    improved_seconds = col.number("the same for the improved code", nullable=True)
    naive_findings = col.count("findings of the security rules in the naive code")
    improved_findings = col.count("the same for the improved code")
    correctness_margin = col.number(
        "improved minus naive share of assertions; null without tests", nullable=True
    )
    speed_margin = col.number(
        "binary logarithm of naive over improved time; 0 below the threshold", nullable=True
    )
    security_margin = col.number("naive minus improved findings")
    improved_is_better = col.flag("what execution says; null where it says nothing", nullable=True)
    decided_by = col.text(
        "correctness, speed or security; null where execution says nothing", nullable=True
    )
    recipe = col.recipe()

    @dy.rule()
    def codes_differ(cls) -> pl.Expr:
        return pl.col("naive") != pl.col("improved")
