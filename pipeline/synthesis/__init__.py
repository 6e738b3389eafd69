"""Preference data made without a label: MAPL's instructions, and the check for overlap with evaluation prompts."""
