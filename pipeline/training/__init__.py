"""Preference training: one small trainer, one file per loss family.

Light to import: its modules import torch.
"""
