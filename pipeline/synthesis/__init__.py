"""Preferences that need no human label:
instructions that a program checks, and code that became better.
"""
