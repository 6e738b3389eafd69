"""Preferences that need no human label.

Instructions that a program checks, and code that became better.
"""
