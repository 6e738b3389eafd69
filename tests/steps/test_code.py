"""The version of a step's code: what it follows, and what says nothing about rows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets.steps import STEPS
from pipeline import config
from pipeline.config import ROOT, JudgeModelSettings
from pipeline.steps import code

FILES = {
    "pipeline/__init__.py": "",
    "pipeline/errors.py": "class Mistake(Exception): pass\n",
    "pipeline/room/__init__.py": "",
    "pipeline/room/work.py": '''"""What it gives."""
from typing import TYPE_CHECKING
import pipeline.errors
from pipeline.room.near import near
from . import beside
if TYPE_CHECKING:
    from pipeline.room.types import Kind

def work(n: int) -> int:
    """More words."""
    # Why.
    from pipeline.room.lazy import lazy
    return near(n) + lazy(n) + beside.beside(n) + 1
''',
    "pipeline/room/near.py": "from pipeline.room.far import FAR\ndef near(n): return n + FAR\n",
    "pipeline/room/far.py": "FAR = 1\n",
    "pipeline/room/lazy.py": "def lazy(n): return 2 * n\n",
    "pipeline/room/beside.py": "def beside(n): return 3 * n\n",
    "pipeline/room/types.py": "class Kind: pass\n",
    "pipeline/room/apart.py": "APART = 1\n",
    "pipeline/room/words.txt": "one\n",
    "pipeline/room/templates/ask.jinja": "[user]\nWhich?\n",
    "pipeline/other/__init__.py": "",
    "pipeline/other/words.txt": "one\n",
    "assets/__init__.py": "",
    "assets/group.py": """from pipeline.room.work import work
from pipeline.room.apart import APART
LIMIT = 3
def _help(n): return work(n) + LIMIT
def make(n): return _help(n)
def other(n): return APART
""",
}
Version = Callable[..., str]


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Version]:
    """The version of a place, after some files were changed and before they are put back."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def of(root: str = "pipeline.room.work", **changes: tuple[str, str]) -> str:
        for name, (old, new) in changes.items():
            assert old in FILES[name]
            (tmp_path / name).write_text(FILES[name].replace(old, new))
        code.clear()
        found = code.code_version(root)
        for name in changes:
            (tmp_path / name).write_text(FILES[name])
        return found

    yield of
    code.clear()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline/room/work.py", "# Why.", "# Another reason,\n    # in two lines."),
        ("pipeline/room/work.py", '"""More words."""', '"""Other words."""'),
        ("pipeline/room/work.py", '"""What it gives."""', '"""What\n\nit gives."""'),
        ("pipeline/room/work.py", "near(n) + lazy(n) + beside.beside(n) + 1", 
         "(\n        near(n) + lazy(n)\n        + beside.beside(n) + 1\n    )"),
        ("pipeline/room/work.py", "import Kind", "import Kind as Sort"),
        ("pipeline/room/types.py", "pass", "x = 1"),
        ("pipeline/room/apart.py", "1", "2"),
        ("pipeline/errors.py", "pass", "x = 1"),
        ("pipeline/other/words.txt", "one", "two"),
    ],
)  # fmt: skip
def test_words_layout_types_and_what_is_not_imported_say_nothing(
    version: Version, file: str, old: str, new: str
) -> None:
    assert version(**{file: (old, new)}) == version()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pipeline/room/work.py", "+ 1", "+ 2"),
        ("pipeline/room/near.py", "n + FAR", "n - FAR"),
        ("pipeline/room/far.py", "1", "2"),
        ("pipeline/room/lazy.py", "2 *", "4 *"),
        ("pipeline/room/beside.py", "3 *", "4 *"),
        ("pipeline/room/words.txt", "one", "two"),
        ("pipeline/room/templates/ask.jinja", "Which", "What"),
        ("pipeline/__init__.py", "", "X = 1\n"),
    ],
)
def test_imported_modules_lazy_ones_and_data_files_of_their_packages_count(
    version: Version, file: str, old: str, new: str
) -> None:
    assert version(**{file: (old, new)}) != version()


def test_of_a_file_of_declarations_only_what_a_definition_uses_counts(version: Version) -> None:
    make, other = "assets.group:make", "assets.group:other"
    changes = {
        "assets/group.py": ("LIMIT = 3", "LIMIT = 4"),
        "pipeline/room/lazy.py": ("2 *", "4 *"),
    }
    for file, change in changes.items():
        assert version(make, **{file: change}) != version(make)
        assert version(other, **{file: change}) == version(other)
    apart = {"pipeline/room/apart.py": ("1", "2")}
    assert version(other, **apart) != version(other) and version(make, **apart) == version(make)


def test_a_users_own_file_counts_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def check(text): return 1\n")
    first = code.code_version(own)
    own.write_text("# said\ndef check(text): return 1\n")
    code.clear()
    assert code.code_version(own) == first
    own.write_text("def check(text): return 2\n")
    code.clear()
    assert code.code_version(own) != first


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    for name, reason in code.LEFT_OUT.items():
        path = ROOT / Path(*name.split("."))
        assert (path.with_suffix(".py").is_file() or path.is_dir()) and reason, name


@pytest.mark.parametrize(
    ("step", "module"),
    [
        ("thought_nodes", "pipeline.rewards.values"),
        ("votes", "pipeline.rewards.local"),
        ("code_pairs", "pipeline.prompts.pools"),
        ("scores", "pipeline.training.policy"),
        ("preferences", "pipeline.synthesis.codefavor_prompts"),
    ],
)
def test_modules_that_lists_by_hand_had_forgotten_count(step: str, module: str) -> None:
    (found,) = [one for one in STEPS if one.name == step]
    settings = config.load("quick")
    judge = settings.judge.model_copy(update={"models": (JudgeModelSettings(kind="reward"),)})
    validation = settings.validation.model_copy(update={"variants": ("codefavor_judge",)})
    used = settings.model_copy(update={"judge": judge, "validation": validation})
    behind = code.modules_behind(found.make, *found.reads_for(used).code)
    assert module in behind
