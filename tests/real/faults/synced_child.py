"""Work that says when it is done: python synced_child.py lake|policy <home> [commits].

It ends without closing anything, as at a power loss.
"""

import os
import sys
from pathlib import Path

from tests.store_child import reference


def commit(home: Path, commits: int) -> None:
    """Commit i holds i rows."""
    from pipeline.store import Commit, Lake

    lake = Lake(home)
    for i in range(1, commits + 1):
        written = lake.write("reference_logps", reference(i), Commit("child"))
        print(written.version, i, flush=True)
    lake.keep_copy()
    print("copied", flush=True)


def train(home: Path) -> None:
    """A policy, a checkpoint and a note of a training, as a training leaves them."""
    import torch

    from pipeline import tables
    from pipeline.training import checkpoint, once, save
    from pipeline.training.loading import load
    from tests.training.toy import save_llama

    base = save_llama(home.with_name("base"), seed=1)
    policy = load(base, "fp32", torch.device("cpu"))
    policy.causal.requires_grad_(True)
    optimizer = torch.optim.SGD(policy.trainable().values(), lr=0.1)
    out = home / once.FOLDER / "toy"
    progress = checkpoint.Progress(step=7)
    checkpoint.save(checkpoint.path_for(out), "f", policy, optimizer, progress)
    save.save(policy, out)
    once._remember(out.with_name("toy.json"), {"run_id": "r"}, tables.empty("rejects"))
    print("trained", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "lake":
        commit(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        train(Path(sys.argv[2]))
    os._exit(0)
