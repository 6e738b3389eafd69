"""Model folders: what identifies one, and what is wrong with a bad one."""

import json
from pathlib import Path

import pytest

from pipeline.config import ModelSettings
from pipeline.engine.model import fingerprint, resolve
from pipeline.errors import OrchardError


def folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    content = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}", **files}
    for name, text in content.items():
        if text:
            (path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("config.json", "configuration"),
        ("model.safetensors", "weights"),
        ("tokenizer.json", "tokenizer"),
    ],
)
def test_an_incomplete_folder_says_what_it_lacks(tmp_path: Path, missing: str, says: str) -> None:
    path = folder(tmp_path / "m", **{missing: ""})
    with pytest.raises(OrchardError, match=f"lacks .*{says}"):
        resolve(ModelSettings(name=str(path)), tmp_path)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"]
)
def test_the_id_changes_with_every_file_that_matters(tmp_path: Path, file: str) -> None:
    before = fingerprint(folder(tmp_path / "m"))
    assert fingerprint(folder(tmp_path / "m")) == before
    assert fingerprint(folder(tmp_path / "m", **{file: json.dumps("changed")})) != before


def test_the_hash_of_a_large_file_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.model.LARGE", 1)
    path = folder(tmp_path / "m")
    before = fingerprint(path)
    notes = list(path.glob(".*.hash"))
    assert len(notes) == 3
    assert fingerprint(path) == before
    notes[0].write_text("rubbish")
    assert fingerprint(path) == before
    folder(path, **{"model.safetensors": "other weights"})
    assert fingerprint(path) != before


def test_unknown_names_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(OrchardError, match="no such folder"):
        resolve(ModelSettings(name=str(tmp_path / "nowhere")), tmp_path)
    with pytest.raises(
        OrchardError, match="not installed or without a .gguf file: run `make setup`"
    ):
        resolve(ModelSettings(name="package:no-such-package"), tmp_path)


def test_a_hub_id_that_cannot_be_fetched_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("no route to the hub\nsecond line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(
        OrchardError,
        match=r"'some/model': not a local folder .*\(no route to the hub second line\)$",
    ):
        resolve(ModelSettings(name="some/model"), tmp_path)
