"""Settings: one pydantic model in sections, one YAML file per profile, and where the data live."""

from pipeline.config.engine import BudgetSettings, EngineSettings, ModelSettings, ServerSettings
from pipeline.config.judge import (
    AskedModelSettings,
    JudgeModelSettings,
    JudgeSettings,
    PrincipleSettings,
    RationaleSettings,
)
from pipeline.config.noise import (
    ContrastSettings,
    MetaSettings,
    NoiseSettings,
    TuneSettings,
    VoterSettings,
)
from pipeline.config.policies import DeltaSettings, PolicySettings
from pipeline.config.profile import PROFILES, Settings, home, load, path_of, profiles
from pipeline.config.search import SearchSettings
from pipeline.config.section import section
from pipeline.config.sources import (
    ExampleSettings,
    PersonalDataSettings,
    PoolSettings,
    SamplingSettings,
    SandboxSettings,
    SourceSettings,
    SplitSettings,
)
from pipeline.config.sweep import SweepSettings
from pipeline.config.synthesis import CodeSettings, MaplSettings, MiningSettings, OverlapSettings
from pipeline.config.training import LossSettings, PreferenceSettings, TrainingSettings
from pipeline.config.trees import GrowthSettings, ListSettings, ThoughtSettings, TreeSettings
from pipeline.config.validation import ValidationSettings
from pipeline.config.variants import UserVariant
from pipeline.shipped import ROOT, SHIPPED

__all__ = [
    "AskedModelSettings",
    "BudgetSettings",
    "CodeSettings",
    "ContrastSettings",
    "DeltaSettings",
    "EngineSettings",
    "ExampleSettings",
    "GrowthSettings",
    "JudgeModelSettings",
    "JudgeSettings",
    "ListSettings",
    "LossSettings",
    "MaplSettings",
    "MetaSettings",
    "MiningSettings",
    "ModelSettings",
    "NoiseSettings",
    "OverlapSettings",
    "PROFILES",
    "PersonalDataSettings",
    "PolicySettings",
    "PoolSettings",
    "PreferenceSettings",
    "PrincipleSettings",
    "ROOT",
    "RationaleSettings",
    "SHIPPED",
    "SamplingSettings",
    "SandboxSettings",
    "SearchSettings",
    "ServerSettings",
    "Settings",
    "SourceSettings",
    "SplitSettings",
    "SweepSettings",
    "ThoughtSettings",
    "TrainingSettings",
    "TreeSettings",
    "TuneSettings",
    "VoterSettings",
    "UserVariant",
    "ValidationSettings",
    "home",
    "load",
    "path_of",
    "profiles",
    "section",
]
