"""Small tokenizers with chat templates in the styles of the field, written for these tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.engine.chat_tokenizer import ChatTokenizer

Turns = Sequence[Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class Style:
    """A template, its special tokens, and what its turns look like in tokens.

    begins, ends: a token that stands at the start, and at the end, of every turn of those roles.
    """

    name: str
    template: str
    special: tuple[str, ...]
    eos: str
    end: str  # of an assistant's turn
    begins: Mapping[str, str]
    ends: Mapping[str, str]
    system: bool = True  # takes a system turn
    plain: tuple[str, ...] = ()  # added tokens that are not special
    strips: bool = False  # its special tokens swallow white space behind them
    lead: str = ""  # the blank at the start of a response
    tools: bool = False  # it writes tools, calls and results


def _all(token: str) -> dict[str, str]:
    return dict.fromkeys(("system", "user", "assistant"), token)


CHATML = Style(
    "chatml",
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    eos="<|endoftext|>",
    end="<|im_end|>",
    begins=_all("<|im_start|>"),
    ends=_all("<|im_end|>"),
    plain=("<think>", "</think>", "\n\n"),
)
LLAMA3 = Style(
    "llama3",
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ),
    eos="<|end_of_text|>",
    end="<|eot_id|>",
    begins=_all("<|start_header_id|>"),
    ends=_all("<|eot_id|>"),
)
GEMMA = Style(
    "gemma",
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    ("<bos>", "<eos>"),
    eos="<eos>",
    end="<end_of_turn>",
    begins=_all("<start_of_turn>"),
    ends=_all("<end_of_turn>"),
    system=False,
    plain=("<start_of_turn>", "<end_of_turn>", "\n\n"),  # as if nobody had marked them special
)
PHI = Style(
    "phi",
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
    "{% else %}{{ eos_token }}{% endif %}",
    ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    eos="<|endoftext|>",
    end="<|end|>",
    begins={role: f"<|{role}|>" for role in ("system", "user", "assistant")},
    ends=_all("<|end|>"),
    strips=True,
)
MISTRAL = Style(
    "mistral",
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}",
    ("<s>", "</s>", "[INST]", "[/INST]", "[THINK]", "[/THINK]"),
    eos="</s>",
    end="</s>",
    begins={"user": "[INST]"},
    ends={"user": "[/INST]", "assistant": "</s>"},
    system=False,
    lead=" ",
)
HARMONY = Style(
    "harmony",
    "{% for m in messages %}<|start|>{{ m['role'] }}"
    "{% if m['role'] == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ m['content'] }}"
    "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}",
    ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|constrain|>"),
    eos="<|return|>",
    end="<|return|>",
    begins=_all("<|start|>"),
    ends=_all("<|end|>"),
)
# Thoughts that the template itself opens.
OPENED = Style(
    "opened",
    CHATML.template.replace("assistant\n{% endif", "assistant\n<think>\n{% endif"),
    CHATML.special,
    eos=CHATML.eos,
    end=CHATML.end,
    begins=CHATML.begins,
    ends=CHATML.ends,
    plain=CHATML.plain,
)
# The system turn stands in the user's first one, and calls need ids of nine letters and digits.
SYSTEM_INSIDE = Style(
    "system inside",
    "{{ bos_token }}"
    "{% if tools %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}[INST] "
    "{% if loop.index0 == 1 and messages[0]['role'] == 'system' %}"
    "{{ messages[0]['content'] }}\n\n{% endif %}{{ m['content'] }}[/INST]"
    "{% elif m['tool_calls'] %}[TOOL_CALLS] [{% for call in m['tool_calls'] %}"
    "{% if call['id'] | length != 9 %}{{ raise_exception('ids have 9 letters') }}{% endif %}"
    "{{ call['function'] | tojson }}, {{ call['id'] }}{% endfor %}]</s>"
    "{% elif m['role'] == 'tool' %}[TOOL_RESULTS] {{ m['tool_call_id'] }}: {{ m['content'] }}"
    "[/TOOL_RESULTS]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}</s>{% endif %}{% endfor %}",
    ("<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
     "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    eos="</s>",
    end="</s>",
    begins={"user": "[INST]"},
    ends={"user": "[/INST]", "assistant": "</s>"},
    lead=" ",
    tools=True,
)  # fmt: skip
# As Qwen3's: earlier turns lose their thoughts, and a last answer without one gets an empty one.
STRIPPED = Style(
    "stripped",
    "{% if tools %}<|im_start|>system\n"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}\n{% endif %}"
    "{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% set said = m['content'].split('</think>')[-1].lstrip('\n') %}"
    "{% if not (tools and loop.first and m['role'] == 'system') %}"
    "<|im_start|>{{ 'user' if m['role'] == 'tool' else m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% if loop.last %}<think>\n"
    "{{ m['content'].split('</think>')[0].split('<think>')[-1].strip('\n') "
    "if '</think>' in m['content'] else '' }}\n</think>\n\n{% endif %}{{ said }}"
    "{% for call in m['tool_calls'] or [] %}\n<tool_call>\n{{ call['function'] | tojson }}\n"
    "</tool_call>{% endfor %}"
    "{% elif m['role'] == 'tool' %}<tool_response>\n{{ m['content'] }}\n</tool_response>"
    "{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    CHATML.special,
    eos=CHATML.eos,
    end=CHATML.end,
    begins={**CHATML.begins, "tool": "<|im_start|>"},
    ends={**CHATML.ends, "tool": "<|im_end|>"},
    plain=("<think>", "</think>", "<tool_call>", "</tool_call>"),
    tools=True,
)
# The same model asked not to think: the template itself writes the empty thought when it asks.
UNTHINKING = replace(
    STRIPPED,
    name="unthinking",
    template=STRIPPED.template.replace(
        "<|im_start|>assistant\n{% endif", "<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif"
    ),
)
STYLES = (
    CHATML, LLAMA3, GEMMA, PHI, MISTRAL, HARMONY, OPENED, SYSTEM_INSIDE, STRIPPED, UNTHINKING
)  # fmt: skip


def _bytes() -> Tokenizer:
    """A token a byte, as GPT-2's kind of tokenizers begin."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _metaspace() -> Tokenizer:
    """Letters and bytes, words begin with ▁: as Llama 2's kind of tokenizers."""
    letters = ["<unk>", *(f"<0x{n:02X}>" for n in range(256)), "▁"]
    letters += [chr(n) for n in range(33, 127)]
    vocab = {letter: number for number, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return tokenizer


KINDS = {"bytes": _bytes, "metaspace": _metaspace}


@cache
def fast(style: Style, kind: str = "bytes") -> Any:
    """The style's tokenizer of one kind."""
    tokenizer = KINDS[kind]()
    tokenizer.add_special_tokens(
        [AddedToken(text, rstrip=style.strips, normalized=False) for text in style.special]
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in style.plain])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=style.eos,
        bos_token=style.special[0],
        extra_special_tokens=list(style.special[1:]),
    )
    made.chat_template = style.template
    return made


def chat(style: Style, kind: str = "bytes") -> ChatTokenizer:
    return ChatTokenizer(fast(style, kind))


def wanted_turn_tokens(style: Style, turns: Turns, *, reply: bool) -> dict[str, int]:
    """How often each token of structure stands in rendered turns, counted from the roles alone."""
    found: dict[str, int] = {}
    for turn in turns:
        for tokens in (style.begins, style.ends):
            if turn["role"] in tokens:
                found[tokens[turn["role"]]] = found.get(tokens[turn["role"]], 0) + 1
    if reply and "assistant" in style.begins:
        token = style.begins["assistant"]
        found[token] = found.get(token, 0) + 1
    return found
