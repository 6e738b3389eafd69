"""Reasoning trees: Tree-PLV best-first search with step rewards from rollouts."""
