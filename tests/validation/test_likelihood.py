"""Log-probabilities of held-out pairs, and the KL divergence, with two tiny random models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from pipeline.config import TrainingSettings
from pipeline.engine.base import Completion, Prompt, Sampling, Usage
from pipeline.engine.rendering import Renderer
from pipeline.training.accuracy import log_ratios
from pipeline.training.loading import load
from pipeline.training.policy import Policy
from pipeline.training.reference import reference_logps
from pipeline.validation.likelihood import divergence, of_base, of_policy, own_answers, pair_logps
from tests.training.toy import frame, pair, save_llama


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return save_llama(folder / "policy", seed=0), save_llama(folder / "reference", seed=1)


SETTINGS = TrainingSettings(max_length=128, micro_tokens=256, beta=0.2)
PAIRS = frame([pair("is it?", "yes", "no, not"), pair("or so?", "perhaps", "never", strength=0.7)])


class Sampler:
    """An engine that draws from a policy at temperature 1, by torch."""

    policy_id = "tiny@0"

    def __init__(self, policy: Policy, renderer: Renderer) -> None:
        self.policy, self.renderer, self.usage = policy, renderer, Usage()

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        assert sampling.temperature == 1 and sampling.top_p == 1
        ids = torch.tensor([self.renderer.tokens(prompt)])
        torch.manual_seed(seeds[0])
        drawn = self.policy.causal.generate(
            ids, do_sample=True, max_new_tokens=sampling.max_tokens, top_k=0, pad_token_id=257
        )
        return [
            Completion(
                "x", tuple(drawn[0, ids.shape[1] :].tolist()), (), "stop", None, ids.shape[1]
            )
        ]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to give back."""


def test_pairs_have_the_log_probabilities_that_the_implicit_reward_is_made_of(
    models: tuple[Path, Path],
) -> None:
    own, base = models
    reference = reference_logps(base, PAIRS, SETTINGS, policy_id="base")
    found = pair_logps(own, PAIRS, reference, SETTINGS, load(own))
    ratios = log_ratios(own, PAIRS, reference, SETTINGS)
    assert (found["chosen"] - found["ref_chosen"]).to_list() == pytest.approx(
        ratios["chosen"].to_list(), abs=1e-4
    )
    assert (found["rejected"] - found["ref_rejected"]).to_list() == pytest.approx(
        ratios["rejected"].to_list(), abs=1e-4
    )
    # Bytes, and the end.
    assert found["chosen_tokens"].to_list() == [4, 8] and found["strength"].to_list() == [
        None,
        0.7,
    ]
    alone = pair_logps(base, PAIRS, reference, SETTINGS, None)
    assert alone["chosen"].equals(found["ref_chosen"].rename("chosen"))


def test_a_policy_is_measured_on_pairs_and_on_its_own_answers_and_the_base_on_pairs_alone(
    models: tuple[Path, Path],
) -> None:
    own, base = models
    reference = reference_logps(base, PAIRS, SETTINGS, policy_id="base")
    answers = {"p1": ((1, 2, 3), (4, 5)), "p2": ((1, 2), (6,))}
    found = of_policy(own, base, PAIRS, reference, answers, SETTINGS)
    assert found["kl"]["unit_id"].to_list() == ["p1", "p2"]
    assert found["kl_per_token"]["value"].to_list() == pytest.approx(
        [v / n for v, n in zip(found["kl"]["value"], (2, 1), strict=True)]
    )
    assert {"reward_accuracy", "ranking_accuracy", "kl"} <= set(found)
    none = pl.DataFrame(schema=PAIRS.schema)
    assert set(of_policy(own, base, none, reference, answers, SETTINGS)) == {"kl", "kl_per_token"}
    same = of_policy(base, base, none, reference, answers, SETTINGS)
    assert same["kl"]["value"].abs().max() == 0
    assert (
        "ideal_ranking" in of_base(base, PAIRS, reference, SETTINGS)
        and of_base(base, none, reference, SETTINGS) == {}
    )


def test_the_mean_over_own_answers_is_the_exact_divergence_of_the_next_token(
    models: tuple[Path, Path],
) -> None:
    """Answers of one token: the KL divergence is a sum over the vocabulary."""
    policy, base = load(models[0], "fp32"), load(models[1], "fp32")
    renderer = Renderer(models[0])
    turns = [{"role": "user", "content": "how many?"}]
    n = 800
    prompts = pl.DataFrame({"prompt_id": [f"p{i}" for i in range(n)], "messages": [turns] * n})
    answers = own_answers(Sampler(policy, renderer), renderer, prompts, 1, run_seed=0)
    context = torch.tensor([renderer.tokens(Prompt(({"role": "user", "content": "how many?"},)))])
    with torch.no_grad():
        mine = torch.log_softmax(policy.causal(context).logits[0, -1].double(), 0)
        theirs = torch.log_softmax(base.causal(context).logits[0, -1].double(), 0)
    exact = float((mine.exp() * (mine - theirs)).sum())
    tokens = [text[0] for _, text in answers.values()]
    values = divergence(answers, mine[tokens].tolist(), theirs[tokens].tolist())["kl"][
        "value"
    ].to_numpy()
    error = values.std() / np.sqrt(n)
    assert len(answers) == n and abs(values.mean() - exact) < 4 * error and error < 0.2 * exact
