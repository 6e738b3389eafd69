"""A tiny random Llama with a byte tokenizer, and toy pairs: training takes seconds."""

from pathlib import Path
from typing import Any

import polars as pl
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline import tables
from pipeline.config import LossSettings
from pipeline.ids import content_id
from pipeline.training.example import Example, Ids
from pipeline.training.losses.columns import Columns

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tokenizer(path: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)


def save_llama(path: Path, seed: int) -> Path:
    config = LlamaConfig(
        vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=257, bos_token_id=256,
        pad_token_id=257, initializer_range=0.1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(path)
    save_tokenizer(path)
    return path


def pair(
    question: str, chosen: str = "yes", rejected: str = "no, not", **values: Any
) -> dict[str, Any]:
    row = {
        "pair_id": content_id(question, chosen, rejected, values), "variant": "toy",
        "level": "response", "prompt_id": content_id(question), "split": "train", "depth": 0,
        "messages": [{"role": "user", "content": question}], "prefix": "", "chosen": chosen,
        "rejected": rejected,
        "chosen_ends": True, "rejected_ends": True, "rejected_messages": None,
        "rejected_prefix": None,
        "chosen_id": content_id(chosen), "rejected_id": content_id(rejected), "strength": None,
        "margin": None,
        "weight": 1.0, "noise_score": None, "flipped": False, "stage": None, "rationale_id": None,
        "policy_id": "toy", "method": "toy",
    }  # fmt: skip
    return {**row, **values}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return tables.Preferences.validate(
        pl.DataFrame(rows, schema=tables.empty("preferences").schema)
    )


def ranked(question: str, texts: list[str], values: list[float]) -> dict[str, Any]:
    order = sorted(values, reverse=True)
    items = [
        {
            "item_id": content_id(text),
            "text": text,
            "ends": True,
            "value": v,
            "rank": order.index(v),
            "reward": None,
        }
        for text, v in zip(texts, values, strict=True)
    ]
    return {
        "list_id": content_id(question, items), "variant": "toy", "prompt_id": content_id(question),
        "split": "train",
        "messages": [{"role": "user", "content": question}], "items": items, "policy_id": "toy",
        "method": "toy",
    }  # fmt: skip


def lists(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return tables.PreferenceLists.validate(
        pl.DataFrame(rows, schema=tables.empty("preference_lists").schema)
    )


def single(question: str, text: str, desirable: bool, weight: float = 1.0) -> dict[str, Any]:
    return {
        "unpaired_id": content_id(question, text), "variant": "toy",
        "prompt_id": content_id(question),
        "split": "train", "messages": [{"role": "user", "content": question}], "text": text,
        "ends": True,
        "desirable": desirable, "weight": weight, "response_id": content_id(text),
        "policy_id": "toy", "method": "toy",
    }  # fmt: skip


def singles(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return tables.Unpaired.validate(pl.DataFrame(rows, schema=tables.empty("unpaired").schema))


def reason(of: dict[str, Any], text: str) -> dict[str, Any]:
    """A rationale; its id goes into the pair's rationale_id."""
    return {
        "rationale_id": content_id(of["pair_id"], text), "prompt_id": of["prompt_id"],
        "chosen_id": of["chosen_id"],
        "rejected_id": of["rejected_id"], "kind": "general",
        "messages": [{"role": "user", "content": "why?"}],
        "text": text, "chosen_first": True, "permuted": False, "p_chosen": None, "agrees": None,
        "judge_id": "toy", "tokens": 3,
    }  # fmt: skip


def reasons(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return tables.Rationales.validate(pl.DataFrame(rows, schema=tables.empty("rationales").schema))


def example(
    row_id: str, context: Ids, chosen: Ids, rejected: Ids, other: Ids | None = None, **values: Any
) -> Example:
    return Example(
        row_id,
        ((context, chosen), (context if other is None else other, rejected)),
        (1.0, 0.0),
        **values,
    )


def columns(n: int = 1, k: int = 2, **values: Any) -> Columns:
    """Columns of n rows of k texts of 4 tokens in which
    nothing is known but that the first text is the best.
    """
    unknown, table = torch.full((n,), float("nan")), torch.full((n, k), float("nan"))
    empty = {"beta": 0.1, "strength": unknown, "margin": unknown, "noise_score": unknown,
             "rewards": table,
             "values": torch.tensor([[1.0] + [0.0] * (k - 1)] * n),
             "tokens": torch.full((n, k), 4.0), "reference": torch.zeros(n, k),
             "options": LossSettings()}  # fmt: skip
    return Columns(**{**empty, **values})
