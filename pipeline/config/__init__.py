"""Settings: one pydantic model in sections, one YAML file per profile, and where the data live."""

from pipeline.config.engine import BudgetSettings, EngineSettings, ModelSettings, ServerSettings
from pipeline.config.judge import JudgeSettings, RationaleSettings
from pipeline.config.noise import NoiseSettings
from pipeline.config.profile import PROFILES, ROOT, Settings, home, load, profiles
from pipeline.config.section import section
from pipeline.config.sources import ExampleSettings, PoolSettings, SamplingSettings, SandboxSettings, SplitSettings
from pipeline.config.sweep import SweepSettings
from pipeline.config.synthesis import CodeSettings, MaplSettings, MiningSettings
from pipeline.config.training import LossSettings, PreferenceSettings, TrainingSettings, ValidationSettings
from pipeline.config.trees import GrowthSettings, ListSettings, ThoughtSettings, TreeSettings
from pipeline.config.variants import UserVariant

__all__ = [
    "BudgetSettings",
    "CodeSettings",
    "EngineSettings",
    "ExampleSettings",
    "GrowthSettings",
    "JudgeSettings",
    "ListSettings",
    "LossSettings",
    "MaplSettings",
    "MiningSettings",
    "ModelSettings",
    "NoiseSettings",
    "PROFILES",
    "PoolSettings",
    "PreferenceSettings",
    "ROOT",
    "RationaleSettings",
    "SamplingSettings",
    "SandboxSettings",
    "ServerSettings",
    "Settings",
    "SplitSettings",
    "SweepSettings",
    "ThoughtSettings",
    "TrainingSettings",
    "TreeSettings",
    "UserVariant",
    "ValidationSettings",
    "home",
    "load",
    "profiles",
    "section",
]
