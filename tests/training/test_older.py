"""Settings as homes of format 1 knew them: later ones count only where they are in use."""

from pipeline.config import LossSettings, TrainingSettings
from pipeline.training.older import FORMAT_1, FORMAT_1_LOSSES, settings_then


def test_settings_that_came_later_are_left_out_at_their_defaults() -> None:
    now = TrainingSettings(beta=0.2).model_dump(exclude={"seeds"})
    then = settings_then(now)
    assert list(then) == list(FORMAT_1) and then["beta"] == 0.2
    assert list(then["losses"]) == list(FORMAT_1_LOSSES)
    assert {"simpo_gamma", "kto_desirable"} <= now["losses"].keys() - then["losses"].keys()


def test_a_later_setting_that_is_in_use_makes_another_training() -> None:
    used = TrainingSettings(thoughts="read", losses=LossSettings(nll_weight=0.5)).model_dump()
    then = settings_then(used)
    assert then["thoughts"] == "read" and then["losses"]["nll_weight"] == 0.5
    assert "simpo_gamma" not in then["losses"]
