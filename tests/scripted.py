"""An engine that answers from a function: for unit tests of logic only."""

from collections.abc import Callable, Sequence

from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling, Usage

Script = Callable[[str, Sampling, int], str]


class ScriptedEngine:
    """`script(prefix, sampling, n)` gives the whole rest of the response
    for the n-th draw of a call.

    The engine cuts it at the first stop string, as a real one does. A text of None fails the
    request.
    """

    policy_id = "scripted@0"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.usage = Usage()
        self.calls: list[tuple[Prompt, Sampling, tuple[int, ...]]] = []

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        self.calls.append((prompt, sampling, tuple(seeds)))
        if prompt.messages[-1]["content"] == "too long":
            raise RequestFailed("prompt of 999 tokens leaves 0 of the 8 tokens asked for")
        return [
            self._complete(self.script(prompt.prefix, sampling, n), sampling)
            for n in range(len(seeds))
        ]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        return [1 / len(words)] * len(words)

    def reads_back(self, completion: Completion) -> bool:
        return True

    def check_words(self, words: Sequence[str]) -> None:
        """Every word is one token."""

    def close(self) -> None:
        """Nothing to give back."""

    def _complete(self, text: str, sampling: Sampling) -> Completion:
        stopped_by = next((stop for stop in sampling.stop if stop in text), None)
        if stopped_by:
            text = text.split(stopped_by)[0]
        tokens = tuple(range(max(1, len(text))))
        self.usage.sampled_tokens += len(tokens)
        return Completion(text, tokens, (-0.5,) * len(tokens), "stop", stopped_by, 3)
