"""Judges that compare responses, strengths from their votes,
rationales, and the judge's own report card.
"""
