"""No model brings code of its own into a run, and none asks on the terminal whether it may."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.model import Model
from pipeline.errors import OrchardError
from pipeline.noise.features import features
from tests.training.toy import save_llama

ROOT = Path(__file__).resolve().parents[1]


def loads() -> Iterator[tuple[str, ast.Call]]:
    """Every call of transformers that loads a model or a tokenizer."""
    for file in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "assets").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            function = getattr(node, "func", None)
            if isinstance(function, ast.Attribute) and function.attr == "from_pretrained":
                assert isinstance(node, ast.Call)
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_model_and_tokenizer_is_loaded_without_code_of_its_own() -> None:
    found = dict(loads())
    assert len(found) >= 10
    for place, call in found.items():
        given = {word.arg: word.value for word in call.keywords}
        trusted = given.get("trust_remote_code")
        assert isinstance(trusted, ast.Constant) and trusted.value is False, place


def test_a_model_with_code_is_an_error_and_no_question(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the argument transformers waits for y or N on the terminal."""
    path = save_llama(tmp_path / "model", seed=0)
    ran = tmp_path / "ran"
    (path / "own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    config = json.loads((path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(OrchardError):
        features(Model(path, "own@1"), {"t": (1, 2)}, tmp_path / "features")
    assert not ran.exists()
    assert "[y/N]" not in "".join(capfd.readouterr())
