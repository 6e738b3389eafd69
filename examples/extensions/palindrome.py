"""A verifier: a response is right if its letters read the same from both ends.

In a profile:

    extensions: [extensions/palindrome.py]
    pools: [{name: words, source: file, path: words.jsonl, verifier: palindrome}]

A verifier that runs programs takes `pipeline.verify.code.sandbox()`, with the profile's limits.
"""

from pipeline.verify import Verifier, verifier


@verifier("palindrome")
class Palindrome(Verifier):
    """Judges the last line of a response; a pool's answer is the fewest letters."""

    def extract(self, text: str) -> str | None:
        lines = [line for line in text.splitlines() if line.strip()]
        letters = [one.lower() for one in (lines[-1] if lines else "") if one.isalpha()]
        return "".join(letters) or None

    def canonical(self, answer: str) -> str | None:
        return answer.strip() if answer.strip().isdecimal() else None

    def equal(self, answer: str, reference: str) -> bool:
        return answer == answer[::-1] and len(answer) >= int(reference)
