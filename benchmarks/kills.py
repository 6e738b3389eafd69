"""Kills runs with SIGKILL at random moments and compares
what is there in the end with an undisturbed run.

    .venv/bin/python benchmarks/kills.py [--kills 20] [--seed 0] [--variants outcome,osp] [--during
    votes]

Each data folder is killed four times and then runs to its end: while a table is written (a random
number of new files after the start), during the judge's votes and during training (when a uniformly
drawn share of the step is done), and at a uniformly drawn moment after that. A run goes on where
the one before it was killed; one that ends before its moment is no kill, and folders are added
until all kills are made. `--during` names one step for all kills, by how its progress lines begin.

The number format is float32: in bfloat16 a completion can depend, by rounding, on which others
share its batch, and a killed run has other batches. Even in float32 the last digits of
probabilities do: numbers count as equal within 1e-4, and the largest difference is printed.
Goals: the tables are equal row by row, and of the tokens that were finished before a kill at least
95 % are not sampled
again: what all runs of a folder sampled, less what the undisturbed run sampled, is what was sampled
twice.
"""

import argparse
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml
from polars.testing import assert_frame_equal

from pipeline.config import ROOT
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.session import cache_path
from pipeline.store import Lake
from pipeline.tables import TABLES

# (seconds since the start, home, its first files): time to kill?
Moment = Callable[[float, Path, set[Path]], bool]
ORCHARD = Path(sys.executable).with_name("orchard")
COMPARED = [name for name in TABLES if name != "usage"]  # what a run cost differs after a kill
# of the clock: they differ between any two runs
TIMES = ("seconds", "train_seconds", "data_seconds", "gain_per_hour")
SAME = 1e-4  # numbers nearer than this are equal
STARTUP = 8.0  # seconds until a run's first step, vLLM's loading included


@dataclass(frozen=True)
class Kill:
    """One kill: when, during which step, and the tokens finished in that attempt."""

    after: float  # seconds
    step: str
    shown: str  # the last progress of that step: done/all
    finished: int


@dataclass(frozen=True)
class Home:
    """A data folder after its kills and its last run."""

    kills: list[Kill]
    last: int  # tokens that the run after the kills sampled
    differing: list[str]  # tables that are not those of the undisturbed run

    def kept(self, calm: int) -> float:
        """Share of the tokens finished before the kills that was not sampled again.

        The undisturbed run took `calm`.
        """
        finished = sum(kill.finished for kill in self.kills)
        twice = max(0, finished + self.last - calm)
        return 1 - min(1.0, twice / max(1, finished))


def main() -> None:
    options = arguments()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="orchard-kills-") as folder:
        profile = write_profile(Path(folder), options.variants)
        calm = Path(folder) / "calm"
        whole = run(calm, profile)
        sampled = sampled_tokens(calm)
        print(f"undisturbed run: {whole:.0f} s, {sampled} tokens", flush=True)
        homes: list[Home] = []
        while (left := options.kills - sum(len(home.kills) for home in homes)) > 0:
            moments = (
                [during(chance, options.during)] * 4
                if options.during
                else everywhere(chance, whole)
            )
            homes.append(
                disturbed(calm, Path(folder) / f"home{len(homes)}", profile, moments[:left])
            )
            print(
                f"{homes[-1].kept(sampled):.1%} of the finished tokens not sampled again",
                flush=True,
            )
        report(homes, sampled)


def disturbed(calm: Path, home: Path, profile: Path, moments: Sequence[Moment]) -> Home:
    """Kills runs of a new data folder at these moments, lets the last one end, and compares it."""
    share_models(calm, home)
    kills = []
    for moment in moments:
        kill = killed(home, profile, moment)
        print(f"{home.name}: {describe(kill) if kill else 'ended before its moment'}", flush=True)
        kills += [kill] if kill else []
    before = sampled_tokens(home)
    run(home, profile)
    return Home(
        kills,
        sampled_tokens(home) - before,
        [f"{home.name}: {name}" for name in unequal(calm, home)],
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", default="outcome,tree_plv,tree_plv_shuffled,osp")
    parser.add_argument("--during", default="")
    return parser.parse_args()


def write_profile(folder: Path, variants: str) -> Path:
    settings = yaml.safe_load((ROOT / "tests" / "real" / "tiny.yaml").read_text(encoding="utf-8"))
    settings["model"]["dtype"] = "float32"
    # A small model is no fair judge; every pair of responses is judged, so that there is a time in
    # which to kill.
    settings["judge"] = {"seat_correction": True, "on_bias": "warn", "pairing": "round_robin"}
    settings["validation"]["variants"] = variants.split(",")
    settings["sampling"]["n"] = 8
    path = folder / "kills.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def everywhere(chance: random.Random, whole: float) -> list[Moment]:
    """One moment while a table is written, one in the votes,
    one in training, one in the quarter of a run after it.
    """
    files, after = chance.randint(1, 4), STARTUP + chance.uniform(0, whole / 4)
    writing = lambda seconds, home, began: len(set(parquet(home)) - began) >= files  # noqa: E731
    later = lambda seconds, home, began: seconds >= after  # noqa: E731
    return [writing, during(chance, "votes"), during(chance, "train"), later]


def during(chance: random.Random, step: str) -> Moment:
    """The moment at which a uniformly drawn share of a step is done."""
    share = chance.uniform(0, 1)
    return lambda seconds, home, began: progress(home / "run.log", step) >= share


def parquet(home: Path) -> list[Path]:
    return list((home / "lake").rglob("*.parquet"))


def progress(log: Path, step: str) -> float:
    """Share of a step that a run's log says is done; -1: it has not begun."""
    found = re.findall(
        rf"^{re.escape(step)}.*?: (\d+)/(\d+) ", log.read_text(errors="replace"), re.MULTILINE
    )
    return int(found[-1][0]) / int(found[-1][1]) if found else -1.0


def share_models(source: Path, home: Path) -> None:
    home.mkdir()
    (home / "models").symlink_to(source / "models")


def start(home: Path, profile: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ORCHARD_HOME": str(home), "ORCHARD_PROGRESS_SECONDS": "0.1"}
    with log.open("wb") as errors:
        arguments = [str(ORCHARD), "run", "--profile", str(profile)]
        return subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )


def run(home: Path, profile: Path) -> float:
    """Runs to the end; seconds."""
    home.mkdir(exist_ok=True)
    began = time.monotonic()
    log = home / "run.log"
    if start(home, profile, log).wait():
        sys.exit(f"a run failed: {log.read_text()[-2000:]}")
    return time.monotonic() - began


def killed(home: Path, profile: Path, moment: Moment) -> Kill | None:
    """Starts a run and kills it at its moment; null where it ended before."""
    before, files = cached_tokens(home), set(parquet(home))
    log = home / "run.log"
    began = time.monotonic()
    process = start(home, profile, log)
    while process.poll() is None and not moment(time.monotonic() - began, home, files):
        time.sleep(0.005)
    after = time.monotonic() - began
    if process.poll() is not None:
        return None
    process.send_signal(signal.SIGKILL)
    process.wait()
    text = log.read_text(errors="replace")
    counts = [int(n) for n in re.findall(r"(\d+) tokens,", text)]
    # one per engine: counts start anew
    peaks = [a for a, b in zip(counts, [*counts, 0][1:], strict=True) if b < a]
    step, shown = (re.findall(r"^(\S.*?): (\d+/\d+) ", text, re.MULTILINE) or [("start", "")])[-1]
    # Finished is what the progress counted or, where it was behind, what the cache has gained.
    return Kill(after, step, shown, max(sum(peaks), cached_tokens(home) - before))


def sampled_tokens(home: Path) -> int:
    """Tokens sampled by the steps that ran to their end, over all runs of a data folder."""
    with Lake(home) as lake:
        return int(lake.read("usage")["sampled_tokens"].sum())


def cached_tokens(home: Path) -> int:
    path = cache_path(home)
    if not path.exists():
        return 0
    cache = CacheFile(path)
    # A completion holds its tokens in second place; a verdict is a list of probabilities, after one
    # sampled token.
    tokens = (
        "CASE json_type(value, '$[1]') "
        "WHEN 'array' THEN json_array_length(value, '$[1]') ELSE 1 END"
    )
    (found,) = cache._db.execute(f"SELECT coalesce(sum({tokens}), 0) FROM completions").fetchone()
    cache.close()
    return int(found)


def unequal(calm: Path, home: Path) -> list[str]:
    """Names of tables whose rows differ, the clock's columns left out."""
    different, largest = [], 0.0
    with Lake(calm) as one, Lake(home) as other:
        for name in COMPARED:
            left, right = canonical(one, name), canonical(other, name)
            try:
                assert_frame_equal(left, right, check_exact=False, rel_tol=0, abs_tol=SAME)
            except AssertionError as error:
                different.append(f"{name} ({' '.join(str(error).split())[:200]})")
            else:
                largest = max(
                    [largest, *(float(difference(left[c], right[c])) for c in left.columns)]
                )
    print(f"largest difference of a number in equal tables: {largest:.1e}", flush=True)
    return different


def difference(left: pl.Series, right: pl.Series) -> float:
    """The largest absolute difference of two columns of numbers; 0 for other columns."""
    return float((left - right).abs().max() or 0) if left.dtype.is_float() else 0.0  # type: ignore[arg-type]


def canonical(lake: Lake, table: str) -> pl.DataFrame:
    return lake.read(table).drop(TIMES, strict=False).sort(TABLES[table].primary_key())


def describe(kill: Kill) -> str:
    return (
        f"killed after {kill.after:5.1f} s during {kill.step} {kill.shown}, "
        f"{kill.finished} tokens finished"
    )


def report(homes: Sequence[Home], calm: int) -> None:
    kills = [kill for home in homes for kill in home.kills]
    steps = ", ".join(
        f"{step} {n}"
        for step, n in pl.Series([kill.step for kill in kills]).value_counts().iter_rows()
    )
    differing = [name for home in homes for name in home.differing]
    shares = [home.kept(calm) for home in homes]
    print(f"\n{len(kills)} kills: {steps}")
    print(f"tables that differ from the undisturbed run: {', '.join(differing) or 'none'}")
    print(
        "finished tokens not sampled again: "
        f"least {min(shares):.1%}, median {statistics.median(shares):.1%}"
    )
    met = not differing and min(shares) >= 0.95
    print(
        "GOAL MET" if met else "GOAL MISSED",
        "(equal tables; at least 95 % of the finished tokens not sampled again)",
    )
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
