"""The verifier's word on what a model said: on its response, never on its thought."""

from collections.abc import Mapping
from typing import Any

from pipeline.conversation import whole_response
from pipeline.verify.registry import Verdict
from pipeline.verify.verdict import verify


def check_answer(response: str | None, prompt: Mapping[str, Any]) -> Verdict:
    """What the verifier of a row of `prompts` says of a response, with its beginning.

    A response of null is that of an unfinished thought: it has no answer, and is wrong where the
    prompt has a verifier.
    """
    if response is None:
        return Verdict(None, None if prompt["verifier"] is None else False)
    whole = whole_response(prompt.get("messages"), response)
    return verify(whole, prompt["answer"], prompt["verifier"], prompt["metadata"])
