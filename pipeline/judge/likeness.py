"""How alike are two short texts in meaning? Vectors of length 1, whose product is the cosine."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float64]
Embed = Callable[[Sequence[str]], Vectors]  # n texts to (n, width), rows of length 1
Alike = Callable[[str, str], float]  # cosine in [-1, 1]


def characters(texts: Sequence[str]) -> Vectors:
    """Counts of runs of 3 to 5 characters within words (scikit-learn),
    for a machine without an embedding model.

    It sees wording and not meaning: "concise" and "brief" are strangers, so that a consensus by it
    is a strict one.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=2**12, alternate_sign=False
    )
    return np.asarray(hashed.transform([text.lower() for text in texts]).toarray())


def mean_pooled(model_dir: Path) -> Embed:
    """An embedding model from a folder in the hub's format:
    the mean of the last hidden states (MiniLM, E5, GTE, ...).

    A generative model is no embedding model: its vectors all point about the same way.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        str(model_dir), local_files_only=True, trust_remote_code=False
    )
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModel.from_pretrained(
        str(model_dir), dtype=torch.float32, local_files_only=True, trust_remote_code=False
    ).eval()

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> Vectors:
        rows = []
        for start in range(0, len(texts), 64):
            coded = tokenizer(
                list(texts[start : start + 64]), padding=True, truncation=True, return_tensors="pt"
            )
            mask = coded["attention_mask"][:, :, None].float()
            hidden = model(
                input_ids=coded["input_ids"], attention_mask=coded["attention_mask"]
            ).last_hidden_state
            rows.append(
                torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
            )
        vectors: Vectors = np.concatenate(rows).astype(np.float64)
        return vectors

    return embed


def alike(texts: Iterable[str], embed: Embed) -> Alike:
    """The cosine of any two of these texts, each embedded once."""
    known = sorted(set(texts))
    vectors = dict(zip(known, embed(known), strict=True)) if known else {}
    return lambda one, other: float(vectors[one] @ vectors[other])
