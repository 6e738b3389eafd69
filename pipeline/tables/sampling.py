"""Tables of prompts, responses and trees."""

import dataframely as dy
import polars as pl

import pipeline.tables.kinds as col
from pipeline.tables.declared import table
from pipeline.tables.terms import METHODS, SPLITS, VALUATIONS


@table("prompts")
class Prompts(dy.Schema):
    """One row per prompt."""

    prompt_id = col.identifier("hash of messages, answer and verifier", key=True)
    pool = col.text("name of the pool it came from")
    task = col.text("task within the pool")
    split = col.choice(
        SPLITS, "train, validation or test: by hash of the prompt, so it never moves"
    )
    messages = col.messages("chat turns as the model sees them")
    answer = col.text("reference answer; null where the pool has none", nullable=True)
    verifier = col.text(
        "name of the check that tells a right answer; null where there is none", nullable=True
    )
    metadata = col.text("JSON that the verifier needs; null where it needs none", nullable=True)
    source = col.text("where the row came from")
    licence = col.text("licence of the source")

    @dy.rule()
    def has_a_turn(cls) -> pl.Expr:
        return pl.col("messages").list.len() > 0

    @dy.rule()
    def verifier_has_an_answer(cls) -> pl.Expr:
        return pl.col("verifier").is_null() | pl.col("answer").is_not_null()


@table("responses")
class Responses(dy.Schema):
    """One row per sampled response."""

    response_id = col.identifier("hash of prompt, policy, sampling and draw", key=True)
    prompt_id = col.identifier("its prompt")
    policy_id = col.identifier("the model that wrote it: name, revision and weights")
    on_policy = col.flag("true where the policy is the one to be trained")
    round = col.count(
        "round of sampling and training that it belongs to, from 0; null where unknown",
        nullable=True,
    )
    draw = col.count("number of the draw for this prompt")
    sampling = col.text("JSON of the sampling parameters")
    text = col.text("the response, stripped: what follows the model's thought")
    thought = col.text(
        "what the model wrote before its response, the marks of a thought included; null: nothing",
        nullable=True,
    )
    token_ids = col.token_ids(
        "sampled tokens of thought and text, where these do not give them back"
    )
    near_duplicate_of = col.identifier(
        "an earlier draw for the same prompt that says nearly the same; null: none. "
        "Rows that have one make no pairs, unless preferences.skip_near_duplicates is off",
        nullable=True,
    )
    tokens = dy.Int64(min=1, metadata=col.meaning("sampled tokens"))
    prompt_tokens = col.count("tokens of the rendered prompt")
    logprob_mean = col.number(
        "mean log-probability per sampled token, nats; at most 0; null: a server gave none",
        nullable=True,
    )
    finish_reason = col.choice(["stop", "length"], "stop: ended by itself; length: cut off")
    answer = col.text(
        "the final answer found in it, normalised; null where there is none", nullable=True
    )
    correct = col.flag("verdict of the verifier; null where the prompt has none", nullable=True)
    recipe = col.recipe()

    @dy.rule()
    def has_text(cls) -> pl.Expr:
        return pl.col("text").str.len_chars() > 0


@table("policy_responses")
class PolicyResponses(Responses):
    """One row per response of a further policy, one that is not trained, to the same prompts."""

    policy = col.text("name of the policy in the profile")

    @dy.rule()
    def is_of_another_policy(cls) -> pl.Expr:
        return ~pl.col("on_policy")

    @dy.rule()
    def has_no_tokens_of_another_vocabulary(cls) -> pl.Expr:
        return pl.col("token_ids").is_null()


@table("tree_nodes")
class TreeNodes(dy.Schema):
    """One row per tree node: steps, and the rollouts that valued them.

    Each method is a partition of its own.
    """

    node_id = col.identifier("hash of tree, parent and text", key=True)
    tree_id = col.identifier("hash of prompt, policy and search settings")
    prompt_id = col.identifier("its prompt")
    policy_id = col.identifier("the model that wrote it")
    method = col.choice(METHODS, "best_first: Tree-PLV; tot: tree of thoughts, and TPO's branches")
    kind = col.choice(
        ["root", "step", "rollout"], "a rollout is a completion that valued its parent"
    )
    parent_id = col.identifier("its parent; null at the root", nullable=True)
    depth = col.count("steps from the root; a rollout has its parent's depth")
    draw = col.count("number of the draw below its parent")
    thought = col.text(
        "what the model wrote before the response, the marks of a thought included; null: nothing",
        nullable=True,
    )
    prefix = col.text("the response before this node's text")
    text = col.text(
        "this node's text: one step, or a rollout's rest; "
        "empty where a rollout never came to a response"
    )
    answer = col.text("final answer of a terminal step or a rollout; null otherwise", nullable=True)
    correct = col.flag("verdict on that answer; null for inner steps", nullable=True)
    value = col.share(
        "how good it is, as `valuation` says; null where it was not valued", nullable=True
    )
    valuation = dy.String(
        nullable=True,
        check=lambda column: column.is_in(list(VALUATIONS)),
        metadata=col.meaning(
            "where the value is from. rollouts: share of right ones; "
            "answer: 1 or 0, the verifier's word on a terminal step; "
            "verdict, score: the model's own view; "
            "vote: its share of votes in its group; reward: a reward model"
        ),
    )
    n_rollouts = col.count("rollouts that valued this node")
    n_correct = col.count("how many of them were right")
    terminal = col.flag("true where the response ends here")
    expanded_order = col.count(
        "when the search expanded it, from 0; null where it did not", nullable=True
    )
    merged = dy.Int64(min=1, metadata=col.meaning("identical siblings that this row stands for"))
    tokens = col.count("sampled tokens of this node's text, merged siblings included")
    recipe = col.recipe()

    @dy.rule()
    def correct_is_at_most_all(cls) -> pl.Expr:
        return pl.col("n_correct") <= pl.col("n_rollouts")

    @dy.rule()
    def only_roots_lack_a_parent(cls) -> pl.Expr:
        return (pl.col("kind") == "root") == pl.col("parent_id").is_null()
