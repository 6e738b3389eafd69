"""Reasoning trees: Tree-PLV best-first search, tree of thoughts,
TPO's branches, and what is read off them.
"""
