"""Erasure: a row, a prompt or a source leaves every version, cache and report of a home."""
