"""A trained policy leaves Orchard:
plain vLLM and plain transformers read the exported folder and say the same.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import Home

PROMPT = "State the final answer to the following arithmetic problem: 4 + 2 ="
WITH_VLLM = """
import json, sys
from vllm import LLM, SamplingParams
model = LLM(sys.argv[1], dtype="float32", max_model_len=256, enforce_eager=True,
            enable_chunked_prefill=False)
(found,) = model.chat([[{"role": "user", "content": sys.argv[2]}]],
                      SamplingParams(temperature=0, max_tokens=12))
print(json.dumps([found.prompt_token_ids, list(found.outputs[0].token_ids)]))
"""
WITH_TRANSFORMERS = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
turns = [{"role": "user", "content": sys.argv[2]}]
ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True,
                                    return_tensors="pt", return_dict=True)
with torch.inference_mode():
    out = model.generate(**ids, do_sample=False, max_new_tokens=12)[0].tolist()
n = ids["input_ids"].shape[1]
print(json.dumps([out[:n], out[n:]]))
"""


def said(home: Home, code: str, folder: Path) -> list[list[int]]:
    environment = {**home.environment(), "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(folder), PROMPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    # vLLM writes to stdout too
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("[[")]
    found: list[list[int]] = json.loads(line)
    return found


def test_an_exported_policy_says_the_same_in_vllm_and_in_transformers(
    finished: Home, tmp_path: Path
) -> None:
    out = tmp_path / "policy"
    done = finished.orchard("export", "outcome", str(out))
    assert done.returncode == 0, done.stderr
    assert (out / "README.md").is_file()
    prompt, text = said(finished, WITH_VLLM, out)
    assert text and [prompt, text] == said(finished, WITH_TRANSFORMERS, out)
