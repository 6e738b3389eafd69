"""Step vectors from a model's last hidden states. Loads torch: import it where a step needs it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.engine.base import Prompt, Turn
from pipeline.engine.chat_tokenizer import ChatTokenizer
from pipeline.engine.opening import Pieces
from pipeline.engine.rendering import Renderer
from pipeline.trees.similarity import Embed, States


def embedder(model_dir: Path, max_length: int) -> Embed:
    """A function from chat turns and paths (each a list of step texts) to the states of each path.

    Row s of the sums is the sum of the last layer's hidden states, after the final norm, over the
    tokens of step s: those whose first character lies in it. Tokens beyond `max_length` are left
    out.
    """
    from transformers import AutoModel

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = (
        AutoModel.from_pretrained(
            str(model_dir), dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        .to(device)
        .eval()
    )
    renderer = Renderer(model_dir)

    @torch.inference_mode()
    def embed(messages: Sequence[Turn], paths: Sequence[Sequence[str]]) -> list[States]:
        context = renderer.pieces(Prompt(tuple(messages)))
        coded = [_encode(renderer.chat, context, steps, max_length) for steps in paths]
        width = max(len(ids) for ids, _ in coded)
        ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in coded], device=device)
        mask = torch.tensor(
            [[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in coded], device=device
        )
        # (paths, width, hidden)
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return [
            _sums(hidden[row], owners, len(paths[row])) for row, (_, owners) in enumerate(coded)
        ]

    return embed


def _encode(
    chat: ChatTokenizer, context: Pieces, steps: Sequence[str], max_length: int
) -> tuple[list[int], list[int]]:
    """Token ids of the context and all steps, and for each the step it belongs to;
    -1 for the context.
    """
    coded = chat.places(chat.continued(context, "".join(steps)))[:max_length]
    ends, end = [], sum(map(len, context))
    for step in steps:
        end += len(step)
        ends.append(end)
    begins = sum(map(len, context))
    owners = [-1 if start < begins else sum(start >= end for end in ends) for _, start in coded]
    return [token for token, _ in coded], owners


def _sums(hidden: torch.Tensor, owners: list[int], steps: int) -> States:
    """(width, hidden) to (steps, hidden), with the tokens of each step."""
    total = torch.zeros(steps + 1, hidden.shape[1], dtype=torch.float64)
    index = torch.tensor([owner if 0 <= owner < steps else steps for owner in owners])
    total.index_add_(0, index, hidden[: len(owners)].double().cpu())
    tokens = torch.bincount(index, minlength=steps + 1)[:steps]
    return States(total[:steps].numpy(), tokens.numpy())
