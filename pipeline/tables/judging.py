"""Tables of judges: votes, imported pairs, principles, reversed contexts, report cards, ratings."""

import dataframely as dy
import polars as pl

import pipeline.tables.kinds as col
from pipeline.tables.declared import table


@table("votes")
class Votes(dy.Schema):
    """One row per judgement of one ordered pair of responses.

    Both orders of a pair are always there.
    """

    vote_id = col.identifier(
        "hash of judge, criterion, source, origin, prompt and the ordered pair", key=True
    )
    prompt_id = col.identifier("its prompt")
    first_id = col.identifier("response that was shown first")
    second_id = col.identifier("response that was shown second")
    judge_id = col.identifier("who judged: a model's id, or the name that a file gives")
    criterion = col.text("name of the question that was asked")
    method = col.choice(
        ["pairwise", "scores"],
        "scores: both were scored alone, p_first follows from the two scores",
    )
    p_first = col.share("P(first is better)")
    score_first = col.number(
        "expected score of the first response; null where they were compared", nullable=True
    )
    score_second = col.number(
        "expected score of the second response; null where they were compared", nullable=True
    )
    source = col.choice(["model", "recorded"], "model: asked here; recorded: imported")
    origin = col.text(
        "responses: the pair was sampled here; else the file that it was imported from"
    )
    tokens = col.count("tokens sampled for it; 0 for recorded votes")
    recipe = col.recipe()

    @dy.rule()
    def sides_differ(cls) -> pl.Expr:
        return pl.col("first_id") != pl.col("second_id")


@table("recorded_pairs")
class RecordedPairs(dy.Schema):
    """One row per imported pair of responses:
    it is judged and reported on, never sampled or trained on.
    """

    pair_id = col.identifier("hash of origin, prompt and both responses", key=True)
    prompt_id = col.identifier("hash of the prompt")
    messages = col.messages(
        "chat turns that both responses answer; null where the file gives none", nullable=True
    )
    first_id = col.identifier(
        "this lake's response, or a hash: of prompt and text, or of file, prompt and name"
    )
    second_id = col.identifier(
        "this lake's response, or a hash: of prompt and text, or of file, prompt and name"
    )
    first = col.text("one response; null where the file gives no texts", nullable=True)
    second = col.text("the other response; null where the file gives no texts", nullable=True)
    first_policy = col.text("who wrote the first; null where unknown", nullable=True)
    second_policy = col.text("who wrote the second; null where unknown", nullable=True)
    first_name = col.text(
        "the id that the file gives the first; null where it gives none", nullable=True
    )
    second_name = col.text(
        "the id that the file gives the second; null where it gives none", nullable=True
    )
    first_score = col.number(
        "what the file says of the first as a number, higher is better; null: nothing",
        nullable=True,
    )
    second_score = col.number("the same of the second; null: nothing", nullable=True)
    label = col.share(
        "share of the annotators who find the first better, ties half; null where unknown",
        nullable=True,
    )
    origin = col.text("the file that it was imported from")
    metadata = col.text(
        "JSON of the file's other columns, and `grade`, "
        "P(first is better) of a graded label such as A>B; null: none",
        nullable=True,
    )


@table("recorded_responses")
class RecordedResponses(dy.Schema):
    """One row per imported single response that belongs to a list or has a label of its own."""

    response_id = col.identifier("hash of prompt and text", key=True)
    prompt_id = col.identifier("hash of the prompt")
    messages = col.messages("chat turns that it answers")
    text = col.text("the response")
    policy = col.text("who wrote it; null where unknown", nullable=True)
    origin = col.identifier("the file that it was imported from", key=True)
    list_id = col.identifier(
        "responses to one prompt that the file compares: hash of origin, prompt, ids and ranks; "
        "null: in no list",
        nullable=True,
    )
    rank = col.count("its rank in the list: 1 is best, equal ranks are ties", nullable=True)
    desirable = col.flag("a thumb: true is up; null: none", nullable=True)
    score = col.number("what the file says of it, higher is better; null: nothing", nullable=True)
    metadata = col.text("JSON of what else the file says of it; null: nothing", nullable=True)


@table("imports")
class Imports(dy.Schema):
    """One row per file that was imported into a table: what it is known by."""

    table = col.identifier("the table that its rows went to", key=True)
    origin = col.identifier("the name that its rows carry", key=True)
    path = col.text("where it lay, as an absolute path")
    content = col.identifier("hash of its bytes")
    layout = col.text("the layout that was recognised")


@table("principles")
class Principles(dy.Schema):
    """One row per principle that one annotator's feedback on a response names,
    with the words that say so.
    """

    principle_id = col.identifier("hash of response, judge, annotator and name", key=True)
    prompt_id = col.identifier("its prompt")
    response_id = col.identifier("the response")
    judge_id = col.identifier("the model that gave the feedback")
    annotator = col.count("which of that model's feedbacks on this response, from 0")
    name = col.text("the principle, as the annotator calls it")
    satisfied = col.flag("true where the feedback finds it satisfied")
    span = col.text("words quoted from the feedback that say so")
    likeness = dy.Float64(
        min=0,
        max=100,
        metadata=col.meaning(
            "how well the span occurs in the feedback, 0 to 100; above 60, or rejected"
        ),
    )
    feedback = col.text("what the annotator wrote about the response")
    log_odds = col.number(
        "log p(Yes) - log p(No) of the judge that the response satisfies it, nats"
    )
    group_id = col.identifier(
        "consensus: alike principles of a prompt's responses "
        "that every annotator of the response names; null: none",
        nullable=True,
    )
    group_name = col.text("the name that stands for the group", nullable=True)
    tokens = col.count("tokens sampled for it; an annotator's first principle bears the feedback's")
    recipe = col.recipe()


@table("judge_contexts")
class JudgeContexts(dy.Schema):
    """One row per judge, pair of responses and question,
    of two questions that prefer different sides.
    """

    context_id = col.identifier("hash of judge, pair and question", key=True)
    judge_id = col.identifier("who judged")
    prompt_id = col.identifier("the prompt of both responses")
    kind = col.choice(
        ["length", "principle"], "where the truth comes from: counted, or the annotators' consensus"
    )
    question = col.text("what was asked")
    a_id = col.identifier("one response")
    b_id = col.identifier("the other response")
    a_is_better = col.flag("what the question prefers")
    with_a_first = col.share("P(first is better) with a shown first")
    with_b_first = col.share("P(first is better) with b shown first")
    points = col.share("1 where the mean of both orders is right, 0.5 for a tie, else 0")
    tokens = col.count("tokens sampled for it")


@table("judges")
class Judges(dy.Schema):
    """One row per judge, criterion, and source and origin of its votes: the judge's report card."""

    judge_id = col.identifier("who judged", key=True)
    criterion = col.identifier("the question", key=True)
    source = dy.String(
        primary_key=True, metadata=col.meaning("model: asked here; recorded: imported")
    )
    origin = col.identifier(
        "responses: pairs that were sampled here; else the file that they were imported from",
        key=True,
    )
    n_votes = col.count("votes")
    n_pairs = col.count("pairs, both orders each")
    n_labelled = col.count("pairs with a known better side")
    accuracy = col.share(
        "share of labelled pairs judged right; a tie or a flip counts half", nullable=True
    )
    accuracy_low = col.share("lower end of its 95 % Wilson interval", nullable=True)
    accuracy_high = col.share("upper end of that interval", nullable=True)
    flip_rate = col.share(
        "share of pairs whose winner changes with the order; null where only scored", nullable=True
    )
    first_share = col.share(
        "share of decided votes that the first seat wins; null where only scored", nullable=True
    )
    first_low = col.share(
        "lower end of its 95 % Wilson interval, votes taken as independent", nullable=True
    )
    first_high = col.share("upper end of that interval", nullable=True)
    seat_p_value = col.share(
        "exact sign test over flipped pairs that no seat is favoured", nullable=True
    )
    seat_bias = col.number(
        "mean log-odds that the first seat wins, nats: 0 is fair; null if only scored",
        nullable=True,
    )
    flip_rate_corrected = col.share(
        "flip rate once the seat bias is subtracted from every vote", nullable=True
    )
    first_share_corrected = col.share("first-seat share once it is subtracted", nullable=True)
    seat_p_value_corrected = col.share("the sign test once it is subtracted", nullable=True)
    longer_share = col.share("share of decided pairs whose longer text won", nullable=True)
    longer_accuracy = col.share(
        "share of labelled pairs whose better side is longer: length alone", nullable=True
    )
    own_share = col.share(
        "share won by the judge's own responses against other policies'", nullable=True
    )
    own_truth = col.share(
        "share of those pairs, where labelled, whose own side is better", nullable=True
    )
    n_contexts = col.count("pairs that were asked under two questions that prefer different sides")
    context_accuracy = col.share(
        "share of those questions judged right: exactly 0.5 where a judge ignores its criterion",
        nullable=True,
    )
    ece = col.share("expected calibration error on labelled pairs, 10 bins", nullable=True)
    ece_calibrated = col.share(
        "the same after calibration, each half fitted on the other", nullable=True
    )
    temperature = col.number(
        "divides the log-odds; null: no label, or a judge no better than chance", nullable=True
    )
    curve = col.text(
        "JSON list of [mean p, share right, pairs] per bin; null without labels", nullable=True
    )
    tokens = col.count("tokens sampled for its votes")
    verdict = col.text("what the numbers say, in words")


@table("prompt_ratings")
class PromptRatings(dy.Schema):
    """One row per prompt to learn from and judge that rated it."""

    prompt_id = col.identifier("the prompt", key=True)
    judge_id = col.identifier("the model that rated it", key=True)
    quality = col.share("how clear and complete the prompt is: 0 least, 1 most")
    difficulty = col.share("how much knowledge and skill a right answer needs: 0 least, 1 most")
    tokens = col.count("tokens sampled for it")
    recipe = col.recipe()
