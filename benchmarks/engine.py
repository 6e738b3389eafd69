"""How much of the engine's ceiling tree search reaches, and what the completion cache costs.

One run, one loaded model, every figure a ratio to another of the same run. For each way of working
in `WORKS`:

- the work itself, by our engine;
- flat: every request that the work made, at once, by vLLM alone: the ceiling;
- one call per node: the same requests, all draws of one text in one call, each call made when the
  one before is done;
- one call per draw: as before, but every draw on its own.

Tokens per CPU-second are sampled tokens over the CPU time of this process, all threads; the prefix
cache is emptied before each measurement. The cache's cost is the extra time of the same work when
the model answers at once.

Run: python benchmarks/engine.py [--trees 16] [--rounds 2]. About three minutes on two cores; the
model is unpacked into ORCHARD_HOME at first use.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from pipeline import config
from pipeline.config import ThoughtSettings, TreeSettings
from pipeline.engine import cachefile
from pipeline.engine.base import Completion, Engine, Prompt, Sampling
from pipeline.engine.cache import Backend, CachedEngine
from pipeline.engine.cachefile import COMMIT_SECONDS
from pipeline.engine.model import resolve
from pipeline.engine.resident import Resident
from pipeline.engine.session import run_all
from pipeline.engine.vllm import VllmEngine
from pipeline.prompts import load_pools
from pipeline.trees.forest import plant

CEILING_SHARE = 0.95  # of the flat rate, that the work must reach
NODE_FACTOR = 6.0  # times one call per node
MISS_SHARE = 0.02  # of a run's time, that the cache may take when nothing is in it
HITS = 20_000  # a second
NODE_SECONDS = 25.0  # for one call per node: a sample of its requests is enough for a rate

TREES = TreeSettings(
    children=3, rollouts=8, max_depth=2, max_expansions=2, step_tokens=32, rollout_tokens=48
)
THOUGHTS = ThoughtSettings(
    children=3, rollouts=4, beam=2, max_depth=2, max_expansions=3, step_tokens=32, rollout_tokens=48
)


def best_first(engine: Engine, prompts: pl.DataFrame) -> None:
    """Tree-PLV's search: a step's value comes from its rollouts."""
    plant(engine, prompts, TREES, run_seed=0)


def thoughts(engine: Engine, prompts: pl.DataFrame) -> None:
    """Tree of thoughts: breadth-first with a beam of two, thoughts valued by rollouts."""
    plant(engine, prompts, THOUGHTS, run_seed=0)


WORKS: dict[str, Callable[[Engine, pl.DataFrame], None]] = {
    "best-first trees": best_first,
    "trees of thoughts": thoughts,
}


class Recorder:
    """A back end that keeps what was asked and what came of it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.policy_id, self.usage, self.renderer = inner.policy_id, inner.usage, inner.renderer
        self.done: dict[Any, Completion] = {}

    def identity(self) -> dict[str, str]:
        return self.inner.identity()

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        found = await self.inner.sample(prompt, sampling, seeds)
        for seed, completion in zip(seeds, found, strict=True):
            self.done[_key(prompt, sampling, seed)] = completion
        return found

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        return await self.inner.verdict(prompt, words)

    def close(self) -> None:
        self.inner.close()


class Replay(Recorder):
    """Answers at once with what was recorded: whatever time passes is not the model's."""

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        self.renderer.tokens(prompt)  # as the real one does
        return [self.done[_key(prompt, sampling, seed)] for seed in seeds]

    def close(self) -> None:
        """The engine behind it stays loaded."""


def _key(prompt: Prompt, sampling: Sampling, seed: int) -> Any:
    messages = tuple((turn["role"], turn["content"]) for turn in prompt.messages)
    return (messages, prompt.prefix), sampling, seed


def _prompt(key: Any) -> Prompt:
    messages, prefix = key
    return Prompt(tuple({"role": role, "content": content} for role, content in messages), prefix)


@dataclass(frozen=True)
class Measured:
    """Tokens and seconds of one measurement."""

    tokens: int
    cpu: float
    wall: float

    @property
    def rate(self) -> float:
        """Tokens per CPU-second."""
        return self.tokens / self.cpu


def measure(engine: VllmEngine, work: Callable[[], object]) -> Measured:
    """What a piece of work samples and what it takes."""
    engine._resident.use(engine._model).reset_prefix_cache()
    tokens, cpu, wall = engine.usage.sampled_tokens, time.process_time(), time.perf_counter()
    work()
    return Measured(
        engine.usage.sampled_tokens - tokens, time.process_time() - cpu, time.perf_counter() - wall
    )


def flat(engine: VllmEngine, done: dict[Any, Completion]) -> Measured:
    """All requests at once through vLLM's own loop, without ours."""
    from vllm import SamplingParams

    vllm = engine._resident.use(engine._model)
    vllm.reset_prefix_cache()
    prompts = {key: engine.renderer.tokens(_prompt(key)) for key in {key[0] for key in done}}
    cpu, wall = time.process_time(), time.perf_counter()
    for number, (prompt, sampling, seed) in enumerate(done):
        params = SamplingParams(
            max_tokens=sampling.max_tokens, temperature=sampling.temperature, top_p=sampling.top_p,
            stop=list(sampling.stop), seed=seed, logprobs=0,
        )  # fmt: skip
        vllm.add_request(str(number), {"prompt_token_ids": prompts[prompt]}, params)
    tokens = 0
    while vllm.has_unfinished_requests():
        tokens += sum(len(output.outputs[0].token_ids) for output in vllm.step() if output.finished)
    return Measured(tokens, time.process_time() - cpu, time.perf_counter() - wall)


Call = tuple[Any, Sampling, list[int]]  # prompt, sampling and the draws' seeds


def per_node(done: dict[Any, Completion]) -> list[Call]:
    """The draws that the search asked for at one node,
    of one kind, as one call each, in the order of the search.
    """
    groups: dict[Any, list[int]] = {}
    for prompt, sampling, seed in done:
        groups.setdefault((prompt, sampling), []).append(seed)
    return [(prompt, sampling, seeds) for (prompt, sampling), seeds in groups.items()]


def per_draw(done: dict[Any, Completion]) -> list[Call]:
    return [(prompt, sampling, [seed]) for prompt, sampling, seed in done]


def one_by_one(engine: VllmEngine, calls: Sequence[Call]) -> None:
    """One call after the other, in the order of the search, until the time is up."""

    async def main() -> None:
        until = time.perf_counter() + NODE_SECONDS
        for prompt, sampling, seeds in calls:
            await engine.sample(_prompt(prompt), sampling, seeds)
            if time.perf_counter() > until:
                return

    asyncio.run(main())


@dataclass(frozen=True)
class CacheCost:
    """What the completion cache takes:
    seconds for all misses of a work, hits a second, and commits' seconds.
    """

    misses: int
    miss_seconds: float
    hits_per_second: float


def cache_cost(
    recorded: Recorder, work: Callable[[Engine], None], real_seconds: float
) -> CacheCost:
    """The same work with an engine that answers at once:
    without the cache, with an empty one, with a full one.
    """
    replay = Replay(recorded.inner)
    replay.done = recorded.done
    bare = min(timed(lambda: work(replay)) for _ in range(3))
    misses = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            # As many commits as in the real run, which takes longer.
            cachefile.COMMIT_SECONDS = COMMIT_SECONDS * bare / real_seconds
            engine = CachedEngine(replay, Path(folder) / f"{number}.sqlite")
            misses.append(timed(lambda e=engine: (work(e), e.close())))
        full = CachedEngine(replay, Path(folder) / "0.sqlite")
        hits = statistics.median(hits_per_second(full, recorded) for _ in range(3))
    return CacheCost(len(recorded.done), statistics.median(misses) - bare, hits)


def hits_per_second(full: CachedEngine, recorded: Recorder) -> float:
    """Known completions read in a second, in the groups in which the search asks for them."""
    groups = per_node(recorded.done)

    def read() -> None:
        run_all(
            [full.sample(_prompt(prompt), sampling, seeds) for prompt, sampling, seeds in groups]
        )

    full.inner.renderer._contexts.clear()  # as in a process that has just started
    before = full.usage.cache_hits
    seconds = timed(read)
    found = full.usage.cache_hits - before
    assert found == len(recorded.done), "a request of the recorded run is not in the cache"
    return found / seconds


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measures, prints one table, and says which goals are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=int, default=16)
    parser.add_argument(
        "--rounds", type=int, default=2, help="repetitions, taken in turn; the table shows sums"
    )
    options = parser.parse_args()
    settings = config.load("quick")
    resident = Resident(settings.engine, settings.model)
    engine = VllmEngine(resolve(settings.model, config.home()), resident, settings.model)
    prompts = load_pools(settings)[0].head(options.trees)
    # loads and warms up
    run_all([engine.sample(Prompt(tuple(prompts["messages"][0])), Sampling(8), range(8))])
    table = Table(
        "",
        "tokens",
        "CPU s",
        "seconds",
        "tokens per CPU s",
        "of the ceiling",
        "times one call per node",
    )
    goals: list[tuple[str, bool]] = []
    for name, work in WORKS.items():
        goals += compare(engine, name, lambda e, w=work: w(e, prompts), options.rounds, table)
    Console(width=120).print(table)
    for text, met in goals:
        print(f"GOAL {'MET' if met else 'MISSED'}: {text}")
    sys.exit(0 if all(met for _, met in goals) else 1)


def compare(
    engine: VllmEngine, name: str, work: Callable[[Engine], None], rounds: int, table: Table
) -> list[tuple[str, bool]]:
    """One way of working against its ceiling and against one call per node;
    adds its rows, returns its goals.
    """
    works, flats = [], []
    for _ in range(rounds):
        recorded = Recorder(engine)
        works.append(measure(engine, lambda r=recorded: work(r)))
        flats.append(flat(engine, recorded.done))
    own, top = total(works), total(flats)
    node = measure(engine, lambda: one_by_one(engine, per_node(recorded.done)))
    draw = measure(engine, lambda: one_by_one(engine, per_draw(recorded.done)))
    cost = cache_cost(recorded, work, works[-1].wall)
    ways = {
        f"{name}: flat": top,
        name: own,
        f"{name}: one call per node": node,
        f"{name}: one call per draw": draw,
    }
    for label, found in ways.items():
        figures = [found.tokens, f"{found.cpu:.1f}", f"{found.wall:.1f}", f"{found.rate:.1f}"]
        ratios = [f"{found.rate / top.rate:.3f}", f"{found.rate / node.rate:.2f}"]
        table.add_row(label, *map(str, figures), *ratios)
    share = cost.miss_seconds / works[-1].wall
    return [
        (
            f"{name} reach {own.rate / top.rate:.3f} of the ceiling (goal {CEILING_SHARE})",
            own.rate >= CEILING_SHARE * top.rate,
        ),
        (
            f"{name} reach {own.rate / node.rate:.2f} times one call per node "
            f"(goal {NODE_FACTOR:g})",
            own.rate >= NODE_FACTOR * node.rate,
        ),
        (
            f"{name}: the cache takes {share:.2%} of the run for {cost.misses} misses "
            f"(goal {MISS_SHARE:.0%})",
            share <= MISS_SHARE,
        ),
        (
            f"{name}: {cost.hits_per_second:,.0f} hits a second (goal {HITS:,})",
            cost.hits_per_second >= HITS,
        ),
    ]


def total(parts: list[Measured]) -> Measured:
    """Sums."""
    return Measured(
        sum(p.tokens for p in parts), sum(p.cpu for p in parts), sum(p.wall for p in parts)
    )


if __name__ == "__main__":
    main()
