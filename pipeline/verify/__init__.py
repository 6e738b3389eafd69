"""Answers: find the final answer in a response, and judge it."""

from pipeline.verify.registry import Verdict, Verifier, verifier
from pipeline.verify.verdict import canonical, check, has_final_answer, verifiers, verify

__all__ = [
    "Verdict",
    "Verifier",
    "canonical",
    "check",
    "has_final_answer",
    "verifier",
    "verifiers",
    "verify",
]
