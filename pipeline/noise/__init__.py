"""Noise: many voters look at every pair, and say how far its label can be trusted.

Light to import: no torch here.
"""
