"""A reward model as a judge: it scores every response alone, and never sees a seat."""

import math
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.engine.base import Reject, Turn
from pipeline.errors import OrchardError
from pipeline.judge.collect import Row, candidates, recorded_candidates, vote_row

CRITERION = "reward"
Item = tuple[Sequence[Turn], str]  # a request and a response to it
Scorer = Callable[[Sequence[Item]], list[float]]  # higher is better; a difference is a log-odds, as in Bradley-Terry


def votes(
    score: Scorer,
    judge_id: str,
    known: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    settings: JudgeSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `votes` with P(first is better) = sigmoid(difference of the scores), Bradley-Terry; and what failed.

    Args:
        score: rewards of responses; what is no finite number is rejected.
        judge_id: the reward model's id.
        known: rows of `prompts`, `responses` and `recorded_pairs`, as for `collect`.
        settings: `max_prompts`, `max_responses` and `max_recorded` count; it has no criterion of ours, hence "reward".
        progress: called with (done, all) after each prompt or recorded pair.
    """
    prompts, responses, recorded = known
    tables_, rejects = candidates(prompts, responses, settings)
    tables_ += recorded_candidates(recorded, settings.max_recorded)
    rows: list[Row] = []
    for done, (prompt_id, messages, texts, origin) in enumerate(tables_, start=1):
        found = dict(zip(texts, score([(messages, text) for text in texts.values()]), strict=True))
        for one in [one for one, value in found.items() if not math.isfinite(value)]:
            about: Row = {"prompt_id": prompt_id, "judge_id": judge_id}
            rejects.append(Reject("votes", "votes", one, f"its reward is no number: {found.pop(one)}", about))
        for a, b in permutations(found, 2):
            p = 1 / (1 + math.exp(-max(-500.0, min(500.0, found[a] - found[b]))))
            who = (judge_id, CRITERION, "scores")
            rows.append(vote_row(who, (prompt_id, origin), (a, b), p, tokens=0, scores=(found[a], found[b])))
        if progress:
            progress(done, len(tables_))
    return pl.DataFrame(rows, schema=tables.empty("votes").schema), rejects


def scorer(model_dir: Path, max_length: int) -> Scorer:
    """Rewards of a sequence classifier with one output in the hub's format; a longer chat loses its left.

    Raises:
        OrchardError: it has another number of outputs than one, or no chat template.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(model_dir), local_files_only=True, truncation_side="left")
    model = AutoModelForSequenceClassification.from_pretrained(str(model_dir), local_files_only=True).eval()
    if model.config.num_labels != 1:
        found = f"{model.config.num_labels} outputs"
        raise OrchardError(f"reward model {model_dir}: {found}, not 1: name a reward model, or leave out kind: reward")
    if not tokenizer.chat_template:
        raise OrchardError(f"reward model {model_dir}: its tokenizer has no chat template: add one to the folder")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)

    @torch.inference_mode()
    def score(items: Sequence[Item]) -> list[float]:
        chats = [[*(dict(turn) for turn in turns), {"role": "assistant", "content": text}] for turns, text in items]
        ids = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
        coded = [tokenizer(text, add_special_tokens=False, truncation=True, max_length=max_length) for text in ids]
        rewards: list[float] = []
        for one in coded:  # one by one: what a pad token is, and where it reads its score, differs between models
            logits = model(input_ids=torch.tensor([one["input_ids"]], device=device)).logits
            rewards.append(float(logits[0, 0]))
        return rewards

    return score
