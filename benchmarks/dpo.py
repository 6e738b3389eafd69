"""Our DPO trainer against TRL's, side by side:
python benchmarks/dpo.py [--repeats 3] [--pairs 32] [--trl-pairs 1]

Both train the same LoRA on the same model, pairs, precision (weights fp32, products bf16), batches
of 8 pairs and one epoch, each in a process of its own, in turns. What is counted is the whole way
from texts to a trained policy in memory, reference log-probabilities included; imports and reading
the model from disk are not. A real token is one of a pair's context or text, the context twice,
since TRL sees it twice; padding is none. Half of the pairs have a few-shot prompt and a short
answer, half a bare question and a long worked one.

TRL takes --trl-pairs pairs per pass and accumulates the rest of the step. 1 is its best on two
cores: as fast as 2 and leaner; its default, 8, is slower and takes most memory. Of its other
settings, precomputed log-probabilities are the same passes at another time, padding_free is
switched off in TRL 1.16, and the Liger kernels need a GPU.

Ours computes once what texts begin with alike: the examples in a prompt, the prompt of a pair, the
steps before two solutions part. --apart takes pairs that share nothing but their own prompt, to see
what is left without.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import config, tables
from pipeline.config import ExampleSettings, ModelSettings, PoolSettings, TrainingSettings
from pipeline.engine.model import resolve
from pipeline.ids import content_id, unit_for
from pipeline.prompts.pools import load_pools

SPEED, MEMORY = 2.5, 0.7  # the goals: at least, at most
QUESTION = "State the final answer to the following arithmetic problem: {} ="
SHOTS = (
    ExampleSettings(
        question=QUESTION.format("4 + 2 - 5"), answer="4 + 2 = 6\n6 - 5 = 1\nThe answer is 1."
    ),
    ExampleSettings(
        question=QUESTION.format("3 - 7 + 6"), answer="3 - 7 = -4\n-4 + 6 = 2\nThe answer is 2."
    ),
)
SETTINGS = TrainingSettings(
    method="lora", epochs=1, batch_pairs=8, learning_rate=1e-4, max_length=512
)


def worked(question: str, right: bool) -> str:
    """A sum worked out line by line, correctly or with one slip in the middle."""
    terms = question.split(":")[1].replace("=", "").replace("- ", "-").replace("+ ", "").split()
    total, lines = int(terms[0]), []
    for number, term in enumerate(terms[1:], 1):
        before, total = total, total + int(term) + (not right and number == len(terms) // 2)
        lines.append(f"{before} {term[0] if term[0] == '-' else '+'} {term.lstrip('-')} = {total}")
    return "\n".join([*lines, f"The answer is {total}."])


def pairs_of(n: int, apart: bool = False) -> pl.DataFrame:
    """n rows of `preferences` from sums of the gym.

    `apart`: no two pairs, and no two answers, begin alike.
    """
    half = {"source": "reasoning_gym", "task": "chain_sum", "size": n // 2}
    short = PoolSettings(
        name="short",
        params={"min_terms": 3, "max_terms": 3, "max_digits": 1},
        examples=SHOTS,
        **half,
    )
    long = PoolSettings(
        name="long", params={"min_terms": 6, "max_terms": 18, "max_digits": 2}, **half
    )
    prompts, _ = load_pools(config.Settings(profile="benchmark", pools=(short, long)))
    rows = [_pair(row, apart) for row in prompts.iter_rows(named=True)]
    schema = tables.empty("preferences").schema
    return tables.Preferences.validate(pl.DataFrame(rows, schema=schema).sort("pair_id"))


def _pair(prompt: dict[str, Any], apart: bool) -> dict[str, Any]:
    messages = prompt["messages"]
    question = messages[-1]["content"]
    right, wrong = worked(question, True), worked(question, False)
    if apart:
        wrong = f"So: {wrong}"
        messages = [{"role": "system", "content": f"{unit_for(question):.6f}"}, *messages]
    return {
        "pair_id": content_id(prompt["prompt_id"]), "variant": "benchmark", "level": "response",
        "prompt_id": prompt["prompt_id"], "split": "train", "depth": 0,
        "messages": messages, "prefix": "",
        "chosen": right, "rejected": wrong, "chosen_ends": True, "rejected_ends": True,
        "chosen_id": content_id(right), "rejected_id": content_id(wrong),
        "weight": 1.0, "flipped": False,
        "policy_id": "none", "method": f"worked, {unit_for(right):.3f}",
    }  # fmt: skip


def ours(model: Path, pairs: pl.DataFrame, folder: Path) -> dict[str, float]:
    from pipeline.training import loop, reference, run, save

    reading = [0.0]

    def load(*args: Any, **kwargs: Any) -> Any:
        before = time.process_time()
        policy = policy_load(*args, **kwargs)
        reading[0] += time.process_time() - before
        return policy

    policy_load = run.load
    run.load = reference.load = load
    save.save = lambda policy, out: None  # TRL's side does not write its model either
    started = time.process_time()
    table = reference.reference_logps(model, pairs, SETTINGS, policy_id="base", precision="bf16")
    result = loop.train(
        model, pairs, table, SETTINGS, seed=0, out=folder / "policy", precision="bf16"
    )
    seconds = time.process_time() - started - reading[0]
    return {
        "seconds": seconds,
        "tokens": sum(map(len, sides(model, pairs))),
        "loss": result.loss_last,
    }


def sides(model: Path, pairs: pl.DataFrame) -> list[tuple[int, ...]]:
    """Token ids of context and text of both sides of every pair, as our trainer makes them."""
    from pipeline.training.loading import load_tokenizer
    from pipeline.training.tokens import tokenize

    examples = tokenize(pairs, load_tokenizer(model), SETTINGS.max_length).examples
    return [context + text for example in examples for context, text in example.texts]


def trl(model: Path, pairs: pl.DataFrame, folder: Path) -> dict[str, float]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging
    from trl import DPOConfig, DPOTrainer

    logging.set_verbosity_error()
    per_pass = int(os.environ["TRL_PAIRS"])
    lora = LoraConfig(
        r=SETTINGS.lora_rank,
        lora_alpha=SETTINGS.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    args = DPOConfig(
        str(folder / "trl"), beta=SETTINGS.beta, learning_rate=SETTINGS.learning_rate,
        bf16=True, use_cpu=True,
        per_device_train_batch_size=per_pass,
        gradient_accumulation_steps=SETTINGS.batch_pairs // per_pass, lr_scheduler_type="cosine",
        num_train_epochs=1,
        max_length=SETTINGS.max_length, gradient_checkpointing=False,
        save_strategy="no", report_to="none",
        warmup_steps=SETTINGS.warmup, disable_tqdm=True, logging_steps=1, seed=0,
    )  # fmt: skip
    network = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = [  # rendered, since the template ends a turn with a newline that no model samples
        {
            "prompt": tokenizer.apply_chat_template(
                row["messages"], add_generation_prompt=True, tokenize=False
            ),
            "chosen": row["chosen"],
            "rejected": row["rejected"],
        }
        for row in pairs.iter_rows(named=True)
    ]
    started = time.process_time()
    trainer = DPOTrainer(
        network,
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
    )
    trainer.train()
    seconds = time.process_time() - started
    seen = [
        (*row["prompt_ids"], *row[side])
        for row in trainer.train_dataset
        for side in ("chosen_ids", "rejected_ids")
    ]
    if sorted(seen) != sorted(sides(model, pairs)):
        raise SystemExit("the two trainers see different tokens")
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"seconds": seconds, "tokens": sum(map(len, seen)), "loss": losses[-1]}


SIDES: dict[str, Callable[[Path, pl.DataFrame, Path], dict[str, float]]] = {
    "ours": ours,
    "trl": trl,
}


def one(side: str, folder: Path, model: Path) -> None:
    """A child process: trains once and prints one line of JSON."""
    from pipeline.training.memory import peak_bytes

    measured = SIDES[side](model, pl.read_parquet(folder / "pairs.parquet"), folder)
    print(json.dumps({**measured, "bytes": peak_bytes()}))


def child(side: str, folder: Path, model: Path) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--side",
        side,
        "--folder",
        str(folder),
        "--model",
        str(model),
    ]
    environment = {**os.environ, "PYTHONPATH": str(config.ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side} failed: {done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    rate, gib = measured["tokens"] / measured["seconds"], measured["bytes"] / 2**30
    what = f"{measured['tokens']:.0f} real tokens, {rate:.1f} per CPU-second, {gib:.2f} GiB at most"
    print(f"{side:5} {what}, last loss {measured['loss']:.3f}", flush=True)
    return {"rate": rate, "bytes": measured["bytes"]}


def compare(repeats: int, n: int, apart: bool) -> bool:
    model = resolve(ModelSettings(), config.home()).path
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs_of(n, apart).write_parquet(folder / "pairs.parquet")
        for _ in range(repeats):
            for side, measured in found.items():
                measured.append(child(side, folder, model))
    median = {
        s: {k: statistics.median(m[k] for m in ms) for k in ("rate", "bytes")}
        for s, ms in found.items()
    }
    speed, memory = (median["ours"][key] / median["trl"][key] for key in ("rate", "bytes"))
    met = speed >= SPEED and memory <= MEMORY
    print(
        f"tokens per CPU-second, ours / TRL: {speed:.2f} (goal {SPEED}); "
        f"peak memory: {memory:.2f} (goal {MEMORY})"
    )
    print("GOAL MET" if met else "GOAL MISSED")
    return met


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--trl-pairs", type=int, default=1, choices=[1, 2, 4, 8])
    parser.add_argument("--apart", action="store_true")
    for hidden in ("--side", "--folder", "--model"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.setdefault("TRL_PAIRS", str(given.trl_pairs))
    if given.side:
        one(given.side, Path(given.folder), Path(given.model))
    else:
        sys.exit(not compare(given.repeats, given.pairs, given.apart))
