"""Prompt pools: where they come from, templates, splits."""

from pipeline.prompts.pools import load_pools

__all__ = ["load_pools"]
