"""Answers: find the final answer in a response, and judge it."""

from pipeline.verify.verdict import Verdict, canonical, check, has_final_answer, verifiers, verify

__all__ = ["Verdict", "canonical", "check", "has_final_answer", "verifiers", "verify"]
