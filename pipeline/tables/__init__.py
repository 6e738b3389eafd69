"""Every table's columns, types, units and rules, declared once.

Conventions for all tables: ids are content hashes, joins go by id, higher is better, probabilities lie in [0, 1],
an unknown number is null and never a sentinel, and text is stripped once, where it enters.
"""

import dataframely as dy
import polars as pl

from pipeline.tables.judging import Imports, JudgeContexts, Judges, Principles, RecordedPairs, Votes
from pipeline.tables.noise import NoiseSweep, NoiseTests, PairStrengths, PairVotes, RecordedVotes, Scores, Voters
from pipeline.tables.preferences import PreferenceLists, Preferences, Rationales, Unpaired
from pipeline.tables.results import Evaluations, Leaderboard, Metrics, ReferenceLogps, Rejects, TrainingRuns, Usage
from pipeline.tables.sampling import Prompts, Responses, TreeNodes
from pipeline.tables.synthesis import CodeChanges, CodePairs, Instructions, RecordedCode
from pipeline.tables.terms import METHODS, SPLITS, VALUATIONS, Split

__all__ = [
    "CodeChanges",
    "CodePairs",
    "Evaluations",
    "Imports",
    "Instructions",
    "JudgeContexts",
    "Judges",
    "Leaderboard",
    "METHODS",
    "NoiseSweep",
    "Metrics",
    "NoiseTests",
    "PairStrengths",
    "PairVotes",
    "PreferenceLists",
    "Preferences",
    "Principles",
    "Prompts",
    "Rationales",
    "RecordedCode",
    "RecordedPairs",
    "RecordedVotes",
    "ReferenceLogps",
    "Rejects",
    "Responses",
    "SPLITS",
    "Scores",
    "Split",
    "TABLES",
    "TrainingRuns",
    "TreeNodes",
    "Unpaired",
    "Usage",
    "VALUATIONS",
    "Voters",
    "Votes",
    "columns",
    "empty",
]

TABLES: dict[str, type[dy.Schema]] = {
    "prompts": Prompts,
    "responses": Responses,
    "tree_nodes": TreeNodes,
    "preferences": Preferences,
    "instructions": Instructions,
    "preference_lists": PreferenceLists,
    "unpaired": Unpaired,
    "votes": Votes,
    "recorded_pairs": RecordedPairs,
    "imports": Imports,
    "principles": Principles,
    "judge_contexts": JudgeContexts,
    "judges": Judges,
    "rationales": Rationales,
    "recorded_votes": RecordedVotes,
    "scores": Scores,
    "pair_votes": PairVotes,
    "pair_strengths": PairStrengths,
    "voters": Voters,
    "noise_tests": NoiseTests,
    "noise_sweep": NoiseSweep,
    "code_changes": CodeChanges,
    "recorded_code": RecordedCode,
    "code_pairs": CodePairs,
    "reference_logps": ReferenceLogps,
    "training_runs": TrainingRuns,
    "evaluations": Evaluations,
    "metrics": Metrics,
    "leaderboard": Leaderboard,
    "usage": Usage,
    "rejects": Rejects,
}


def columns(table: str) -> list[tuple[str, str, str]]:
    """(name, type, meaning) of every column of a table, for documentation and the web UI."""
    schema = TABLES[table]
    return [
        (name, str(column.dtype), (column.metadata or {}).get("doc", "")) for name, column in schema.columns().items()
    ]


def empty(table: str) -> pl.DataFrame:
    """An empty frame with a table's columns and types."""
    return TABLES[table].create_empty()
