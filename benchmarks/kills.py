"""Kills runs with SIGKILL at random moments and compares what is there in the end with an undisturbed run.

    .venv/bin/python benchmarks/kills.py [--kills 20] [--homes 4] [--seed 0] [--variants osp,osp_shuffled]
        [--during votes]

`--variants` names what is built instead of the tiny profile's variants: with `osp` a judge is asked too. `--during`
names a step, by how its progress lines begin: every run is killed in it, when a uniformly drawn share of it is done.

Each data folder is killed several times, at moments drawn uniformly from the work that a whole run has to do (a run
goes on where the one before it was killed), and then runs to its end. The number format is float32: in bfloat16 a
completion can depend, by rounding, on which others share its batch, and a killed run has other batches. Even in
float32 the last digits of probabilities do: numbers count as equal within 1e-4, and the largest difference is printed.
Goals: the tables are equal row by row, and of the tokens that were finished before a kill, in this attempt and in those
before it, at least 95 % are in the cache after it.
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
from collections.abc import Callable
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

ORCHARD = Path(sys.executable).with_name("orchard")
COMPARED = [name for name in TABLES if name not in ("usage", "rejects")]  # what a run cost differs after a kill
TIMES = ("seconds", "train_seconds", "data_seconds", "gain_per_hour")  # of the clock: they differ between any two runs
SAME = 1e-4  # numbers nearer than this are equal
STARTUP = 8.0  # seconds until a run's first step, vLLM's loading included


@dataclass(frozen=True)
class Kill:
    """One kill: when, during which step, and what of the finished completions was kept."""

    after: float
    step: str
    shown: str  # the last progress of that step: done/all
    sampled: int  # tokens of completions finished in this attempt, as its last progress line said
    kept: int  # tokens that the cache gained in this attempt
    before: int  # tokens that it had before

    @property
    def share(self) -> float:
        """Of all tokens finished before the kill, those that are not sampled again."""
        return min(1.0, (self.before + self.kept) / max(1, self.before + self.sampled))


def main() -> None:
    options = arguments()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="orchard-kills-") as folder:
        profile = write_profile(Path(folder), options.variants)
        calm = Path(folder) / "calm"
        whole = run(calm, profile)
        print(f"undisturbed run: {whole:.0f} s", flush=True)
        kills: list[Kill] = []
        differing: list[str] = []
        for number in range(options.homes):
            home = Path(folder) / f"home{number}"
            share_models(calm, home)
            n = options.kills // options.homes
            moments = shares(chance, n, options.during) if options.during else delays(chance, n, whole)
            for moment in moments:
                kills.append(killed(home, profile, moment))
                print(f"home {number}: {describe(kills[-1])}", flush=True)
            run(home, profile)
            differing += [f"home {number}: {name}" for name in unequal(calm, home)]
        report(kills, differing)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--homes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", default="")
    parser.add_argument("--during", default="")
    return parser.parse_args()


def write_profile(folder: Path, variants: str) -> Path:
    settings = yaml.safe_load((ROOT / "tests" / "real" / "tiny.yaml").read_text(encoding="utf-8"))
    settings["model"]["dtype"] = "float32"
    # A small model is no fair judge; every pair of responses is judged, so that there is a time in which to kill.
    settings["judge"] = {"seat_correction": True, "on_bias": "warn", "pairing": "round_robin"}
    if variants:
        settings["validation"]["variants"] = variants.split(",")
        settings["sampling"]["n"] = 8
    path = folder / "kills.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


Moment = Callable[[float, Path], bool]  # (seconds since the start, the run's log): is it time to kill?


def delays(chance: random.Random, n: int, whole: float) -> list[Moment]:
    """Moments at which each of n runs is killed, so that the work done by then is n uniform draws of a whole run's."""
    points = sorted(chance.uniform(0, whole - STARTUP) for _ in range(n))
    after = [STARTUP + b - a for a, b in zip([0.0, *points], points, strict=False)]
    return [lambda seconds, log, limit=limit: seconds >= limit for limit in after]  # type: ignore[misc]


def shares(chance: random.Random, n: int, step: str) -> list[Moment]:
    """Moments at which n uniform draws of a step's work are done; a run goes on where the one before was killed."""
    points = sorted(chance.uniform(0, 1) for _ in range(n))
    return [lambda seconds, log, share=share: progress(log, step) >= share for share in points]  # type: ignore[misc]


def progress(log: Path, step: str) -> float:
    """Share of a step that a run's log says is done; -1: it has not begun."""
    found = re.findall(rf"^{re.escape(step)}.*?: (\d+)/(\d+) ", log.read_text(errors="replace"), re.MULTILINE)
    return int(found[-1][0]) / int(found[-1][1]) if found else -1.0


def share_models(source: Path, home: Path) -> None:
    home.mkdir()
    (home / "models").symlink_to(source / "models")


def start(home: Path, profile: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ORCHARD_HOME": str(home), "ORCHARD_PROGRESS_SECONDS": "0.1"}
    with log.open("wb") as errors:
        arguments = [str(ORCHARD), "run", "--profile", str(profile)]
        return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=errors)


def run(home: Path, profile: Path) -> float:
    """Runs to the end; seconds."""
    home.mkdir(exist_ok=True)
    began = time.monotonic()
    log = home / "run.log"
    if start(home, profile, log).wait():
        sys.exit(f"a run failed: {log.read_text()[-2000:]}")
    return time.monotonic() - began


def killed(home: Path, profile: Path, moment: Moment) -> Kill:
    """Starts a run and kills it; a run that ends before counts as a kill after its end."""
    before = cached_tokens(home)
    log = home / "run.log"
    began = time.monotonic()
    process = start(home, profile, log)
    while process.poll() is None and not moment(time.monotonic() - began, log):
        time.sleep(0.02)
    after = time.monotonic() - began
    process.send_signal(signal.SIGKILL)
    process.wait()
    text = log.read_text(errors="replace")
    counts = [int(n) for n in re.findall(r"(\d+) tokens,", text)]
    peaks = [a for a, b in zip(counts, [*counts, 0][1:], strict=True) if b < a]  # one per engine: counts start anew
    step, shown = (re.findall(r"^(\S.*?): (\d+/\d+) ", text, re.MULTILINE) or [("start", "")])[-1]
    return Kill(after, step, shown, sum(peaks), cached_tokens(home) - before, before)


def cached_tokens(home: Path) -> int:
    path = cache_path(home)
    if not path.exists():
        return 0
    cache = CacheFile(path)
    # A completion holds its tokens in second place; a verdict is a list of probabilities, after one sampled token.
    tokens = "CASE json_type(value, '$[1]') WHEN 'array' THEN json_array_length(value, '$[1]') ELSE 1 END"
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
                largest = max([largest, *(float(difference(left[c], right[c])) for c in left.columns)])
    print(f"largest difference of a number in equal tables: {largest:.1e}", flush=True)
    return different


def difference(left: pl.Series, right: pl.Series) -> float:
    """The largest absolute difference of two columns of numbers; 0 for other columns."""
    return float((left - right).abs().max() or 0) if left.dtype.is_float() else 0.0  # type: ignore[arg-type]


def canonical(lake: Lake, table: str) -> pl.DataFrame:
    return lake.read(table).drop(TIMES, strict=False).sort(TABLES[table].primary_key())


def describe(kill: Kill) -> str:
    share = f"{kill.share:.1%} kept of {kill.before} + {kill.sampled} tokens, {kill.kept} of the latter"
    return f"killed after {kill.after:5.1f} s during {kill.step + ' ' + kill.shown:<32} {share}"


def report(kills: list[Kill], differing: list[str]) -> None:
    shares = [kill.share for kill in kills if kill.before + kill.sampled]
    steps = ", ".join(f"{step} {n}" for step, n in pl.Series([kill.step for kill in kills]).value_counts().iter_rows())
    print(f"\n{len(kills)} kills: {steps}")
    print(f"tables that differ from the undisturbed run: {', '.join(differing) or 'none'}")
    if shares:
        print(f"finished tokens kept: least {min(shares):.1%}, median {statistics.median(shares):.1%}")
    met = not differing and bool(shares) and min(shares) >= 0.95
    least = min(shares, default=0.0)
    print(
        "GOAL MET" if met else "GOAL MISSED", f"(equal tables; least share of finished tokens kept {least:.1%} of 95 %)"
    )


if __name__ == "__main__":
    main()
