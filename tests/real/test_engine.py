"""The real vLLM with the real small model."""

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.config import BudgetSettings, EngineSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.budget import BudgetReached, Meter
from pipeline.engine.cache import CachedEngine
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.model import Model
from pipeline.engine.resident import Resident, alike
from pipeline.engine.vllm import VllmEngine

Twin = Callable[[list[int]], torch.Tensor]
LENGTH = ModelSettings(max_model_len=256)
PROMPT = Prompt(({"role": "user", "content": "What is 4 + 3?"},))


# Between 16 and 32, where this model's best logits lie, neighbouring numbers of bf16 are this far
# apart. On a processor with bf16 matrix units (AMX) the same prompt may round to either of them,
# as its key-value cache is there already or not.
STEP = 0.125


def alike_completions(one: Completion, other: Completion) -> bool:
    """The same tokens, with log-probabilities that differ by less than two steps of bf16.

    A log-probability is the difference of two numbers that may each round the other way.
    """
    close = pytest.approx(other.logprobs, abs=2 * STEP)
    return (one.text, one.token_ids) == (other.text, other.token_ids) and one.logprobs == close


@pytest.fixture(scope="module")
def resident() -> Iterator[Resident]:
    resident = Resident(EngineSettings(kv_cache_gib=1), LENGTH)
    yield resident
    resident.drop()


@pytest.fixture(scope="module")
def engine(model: Model, resident: Resident) -> Iterator[VllmEngine]:
    yield VllmEngine(model, resident, LENGTH)


@pytest.fixture(scope="module")
def twin(model: Model) -> Callable[[list[int]], torch.Tensor]:
    """Log-probabilities of every next token, (tokens, vocabulary), by transformers in fp32."""
    causal = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)

    def logps(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return causal(torch.tensor([ids])).logits.log_softmax(-1)[0]

    return logps


def test_greedy_text_and_log_probabilities_equal_those_of_transformers(
    engine: VllmEngine, twin: Twin
) -> None:
    (found,) = asyncio.run(engine.sample(PROMPT, Sampling(12, temperature=0), [0]))
    ids = engine.renderer.tokens(PROMPT)
    whole = torch.tensor([ids + list(found.token_ids)])
    logps = twin(whole[0].tolist())[len(ids) - 1 : -1]
    own = logps.gather(1, whole[0, len(ids) :, None])[:, 0]
    # Greedy picks the twin's best token, up to a tie within bf16's rounding.
    assert (logps.max(-1).values - own).max() < 0.1
    assert found.logprobs == pytest.approx(own.tolist(), abs=STEP)


def test_stop_strings_cut_the_text_and_are_named(engine: VllmEngine) -> None:
    counting = Prompt(
        ({"role": "user", "content": "Count from 1 to 9, with commas."},), "1, 2, 3, 4,"
    )
    (found,) = asyncio.run(engine.sample(counting, Sampling(20, temperature=0, stop=("6",)), [0]))
    assert found.stopped_by == "6" and "6" not in found.text and found.finish_reason == "stop"
    (cut,) = asyncio.run(engine.sample(counting, Sampling(2, temperature=0), [0]))
    assert cut.finish_reason == "length" and len(cut.token_ids) == 2 and cut.stopped_by is None


def test_a_seed_repeats_its_draw_and_others_differ(engine: VllmEngine) -> None:
    draws = asyncio.run(engine.sample(PROMPT, Sampling(16, temperature=1.0), [1, 2, 3, 4, 1]))
    assert draws[0] == draws[4]
    assert len({draw.text for draw in draws}) > 1


def test_many_coroutines_share_one_batch_and_long_prompts_are_not_split(engine: VllmEngine) -> None:
    """Prompts that together pass the token budget of a step:
    a split one would end in an error with seeds on a CPU.
    """
    prompts = [Prompt(({"role": "user", "content": f"{n} " + "word " * 150},)) for n in range(40)]

    async def all_of_them() -> list[int]:
        found = await asyncio.gather(
            *(engine.sample(prompt, Sampling(4), [1, 2]) for prompt in prompts)
        )
        return [len(completions) for completions in found]

    assert asyncio.run(all_of_them()) == [2] * 40


def test_verdicts_are_the_probabilities_of_the_words(engine: VllmEngine, twin: Twin) -> None:
    yes = Prompt(({"role": "user", "content": "Say A."},), "A A A A A A")
    shares = asyncio.run(engine.verdict(yes, [" A", " B"]))
    last = twin(engine.renderer.tokens(yes))[-1]
    expected = last[engine.renderer.single_tokens([" A", " B"])].softmax(0)
    assert shares == pytest.approx(expected.tolist(), abs=0.03)  # bf16 against fp32
    with pytest.raises(RequestFailed, match="verdict word .* tokens: choose words of one token"):
        asyncio.run(engine.verdict(yes, ["A", "incomprehensibilities"]))


def test_a_limit_is_lowered_to_what_the_prompt_leaves_of_the_context(engine: VllmEngine) -> None:
    words = LENGTH.max_model_len
    while len(ids := engine.renderer.tokens(counted(words))) > LENGTH.max_model_len - 6:
        words -= 1
    room = LENGTH.max_model_len - len(ids)
    assert 4 <= room < 8
    (drawn,) = asyncio.run(engine.sample(counted(words), Sampling(8, temperature=0), [0]))
    assert len(drawn.token_ids) == room and drawn.finish_reason == "length"


def counted(words: int) -> Prompt:
    """A prompt that the model goes on with for a while."""
    return Prompt(({"role": "user", "content": "one two " * (words // 2) + "Tell a long story."},))


def test_a_prompt_that_leaves_no_room_is_a_failed_request_and_the_engine_goes_on(
    engine: VllmEngine,
) -> None:
    long = Prompt(({"role": "user", "content": "word " * 400},))
    with pytest.raises(RequestFailed, match=r"prompt of \d+ tokens leaves 0 of the 8 tokens"):
        asyncio.run(engine.sample(long, Sampling(8), [0]))
    assert len(asyncio.run(engine.sample(PROMPT, Sampling(2), [0]))) == 1


def test_usage_counts_tokens_and_prefix_reads(engine: VllmEngine) -> None:
    before = engine.usage.since(type(engine.usage)())
    shared = Prompt(({"role": "user", "content": "A long shared beginning. " * 20},))
    asyncio.run(engine.sample(shared, Sampling(3, temperature=0), [0]))
    drawn = asyncio.run(engine.sample(shared, Sampling(3), [1, 2]))
    used = engine.usage.since(before)
    assert used.requests == 3 and used.sampled_tokens >= sum(len(draw.token_ids) for draw in drawn)
    assert used.cached_prompt_tokens > 100 and used.seconds > 0
    assert all(math.isfinite(logp) and logp <= 0 for draw in drawn for logp in draw.logprobs)


def test_closing_gives_the_memory_back_and_the_next_request_wakes_the_same_engine(
    engine: VllmEngine, resident: Resident
) -> None:
    (first,) = asyncio.run(engine.sample(PROMPT, Sampling(8, temperature=0), [0]))
    loaded = psutil.Process().memory_info().rss
    engine.close()
    # the key-value cache of one GiB at least
    assert loaded - psutil.Process().memory_info().rss > 1 << 30
    (again,) = asyncio.run(engine.sample(PROMPT, Sampling(8, temperature=0), [0]))
    assert alike_completions(again, first) and resident.loads == 1


def test_exchanged_weights_sample_what_those_weights_say_and_nothing_of_the_old_ones(
    engine: VllmEngine, resident: Resident, model: Model, tmp_path: Path
) -> None:
    other = changed(model, tmp_path / "other")
    (first,) = asyncio.run(engine.sample(PROMPT, Sampling(8, temperature=0), [0]))
    swapped = VllmEngine(other, resident, LENGTH)
    (found,) = asyncio.run(swapped.sample(PROMPT, Sampling(8, temperature=0), [0]))
    ids = swapped.renderer.tokens(PROMPT)
    causal = AutoModelForCausalLM.from_pretrained(other.path, dtype=torch.float32)
    with torch.no_grad():
        logps = causal(torch.tensor([ids + list(found.token_ids)])).logits.log_softmax(-1)[
            0, len(ids) - 1 : -1
        ]
    own = logps.gather(1, torch.tensor(found.token_ids)[:, None])[:, 0]
    assert found.logprobs == pytest.approx(own.tolist(), abs=0.15)  # bf16 against fp32
    assert not alike_completions(found, first)
    (back,) = asyncio.run(engine.sample(PROMPT, Sampling(8, temperature=0), [0]))
    assert alike_completions(back, first) and resident.loads == 1


def changed(model: Model, path: Path) -> Model:
    """The same architecture with every weight, the tied embedding too, moved a little at random."""
    causal = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.bfloat16)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in causal.parameters():
            weight += torch.randn(weight.shape, generator=noise) * 0.1 * weight.std()
    causal.save_pretrained(path)
    AutoTokenizer.from_pretrained(model.path).save_pretrained(path)
    return Model(path, "changed@0")


def test_models_of_another_shape_do_not_share_an_engine(model: Model, tmp_path: Path) -> None:
    for name, layers in (("same", 30), ("other", 29)):
        config = json.loads((model.path / "config.json").read_text())
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(
            json.dumps({**config, "num_hidden_layers": layers, "dtype": "x"})
        )
    assert alike(model, Model(tmp_path / "same", "a")) and not alike(
        model, Model(tmp_path / "other", "b")
    )


def test_a_budget_stops_sampling_and_what_was_finished_is_kept(
    resident: Resident, model: Model, tmp_path: Path
) -> None:
    def ask(budget: int, seeds: range) -> VllmEngine:
        inner = VllmEngine(model, resident, LENGTH, Meter(BudgetSettings(tokens=budget)))
        engine = CachedEngine(inner, tmp_path / "c.sqlite")
        try:
            asyncio.run(engine.sample(PROMPT, Sampling(24), seeds))
        finally:
            engine.close()
        return inner

    with pytest.raises(
        BudgetReached, match=r"budget reached: \d+ of 100 sampled tokens; what was sampled is kept"
    ):
        ask(100, range(200))
    cache = CacheFile(tmp_path / "c.sqlite")
    kept = cache.stats()["completions"].sum()
    assert 1 < kept < 200
    usage = ask(100_000, range(200)).usage
    assert usage.cache_hits == kept and usage.requests == 200 - kept
    assert usage.occupancy is not None and 0.5 < usage.occupancy <= 1


def test_a_turn_ends_at_the_templates_own_token(model: Model, tmp_path: Path) -> None:
    for file in model.path.iterdir():
        (tmp_path / file.name).symlink_to(file)
    # Nothing but the template says how a turn ends: the files name another token.
    for name, end in (
        ("config", 0),
        ("generation_config", 0),
        ("tokenizer_config", "<|endoftext|>"),
    ):
        saved = json.loads((model.path / f"{name}.json").read_text())
        key = "eos_token" if name == "tokenizer_config" else "eos_token_id"
        (tmp_path / f"{name}.json").unlink()
        (tmp_path / f"{name}.json").write_text(json.dumps({**saved, key: end}))
    resident = Resident(EngineSettings(kv_cache_gib=1), LENGTH)
    engine = VllmEngine(Model(tmp_path, "other@1"), resident, LENGTH)
    try:
        (found,) = asyncio.run(engine.sample(PROMPT, Sampling(40, temperature=0), [0]))
    finally:
        resident.drop()
    assert engine.renderer.tokenizer.eos_token == "<|endoftext|>"
    end = engine.renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert found.finish_reason == "stop" and found.stopped_by is None
    assert list(found.token_ids).count(end) == 1 and found.token_ids[-1] == end
    assert engine.reads_back(found)
