"""A right program in the layouts that models write it in.

Also used by benchmarks/code_layouts.py.
"""

import ast
import re
from collections.abc import Callable, Iterator

FENCE = "```"
Layout = Callable[[str, str], str]  # (program, name of its function) -> response


def fenced(language: str, fence: str = FENCE) -> Layout:
    """Behind a line of prose, in a closed fence of that language."""
    return lambda program, name: f"Here is `{name}`:\n\n{fence}{language}\n{program}\n{fence}\n"


def _parts(program: str) -> tuple[str, str]:
    """The imports and helpers before the last top-level definition, and the rest."""
    tree = ast.parse(program)
    last = max(i for i, node in enumerate(tree.body) if isinstance(node, ast.FunctionDef))
    lines = program.split("\n")
    first = tree.body[last]
    start = min([first.lineno, *(d.lineno for d in first.decorator_list)]) - 1
    return "\n".join(lines[:start]).strip("\n"), "\n".join(lines[start:])


def _helpers_first(program: str, name: str) -> str:
    before, rest = _parts(program)
    if not before.strip():
        return fenced("python")(program, name)
    return (
        f"First what it needs:\n{FENCE}python\n{before}\n{FENCE}\nand now the function:\n"
        f"{FENCE}python\n{rest}\n{FENCE}\nThat is all."
    )


def _helpers_in_prose(program: str, name: str) -> str:
    before, rest = _parts(program)
    return f"We need this.\n\n{before}\n\nThen the function follows.\n\n{rest}\n\nDone."


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in text.split("\n"))


LAYOUTS: dict[str, Layout] = {
    "python": fenced("python"),
    "py": fenced("py"),
    "python3": fenced("python3"),
    "Python, capital": fenced("Python"),
    "no language": fenced(""),
    "attributes": fenced('python title="solution.py"'),
    "tildes": fenced("python", "~~~"),
    "four marks": fenced("python", "````"),
    "no closing fence": lambda program, name: f"Sure!\n{FENCE}python\n{program}",
    "closing fence on the last line": lambda p, name: f"{FENCE}python\n{p.rstrip()}{FENCE}",
    "opening fence behind words": lambda p, name: f"Solution: {FENCE}python\n{p}\n{FENCE}",
    "nothing else": lambda program, name: program,
    "prose before": lambda p, name: f"Sure, here is the function you asked for.\n\n{p}",
    "prose around": lambda p, name: (
        f"Here is it:\n\n{p}\n\nThis function, {name}, does it in one go."
    ),
    "words behind that parse": lambda p, name: f"The code:\n{p}\n\nDone\nNote: simple\n",
    "carriage returns": lambda p, name: fenced("python")(p, name).replace("\n", "\r\n"),
    "no-break spaces": lambda p, name: re.sub(
        r"^ +",
        lambda found: "\u00a0" * len(found[0]),
        fenced("python")(p, name),
        flags=re.MULTILINE,
    ),
    "a byte order mark": lambda p, name: fenced("python")("\ufeff" + p, name),
    "in a list": lambda p, name: f"1. Write it:\n\n{_indented(fenced('python')(p, name), '   ')}",
    "indented block": lambda p, name: f"Code:\n\n{_indented(p, '    ')}\n\nend of it.",
    "quoted": lambda p, name: "\n".join(
        "> " + line for line in fenced("python")(p, name).split("\n")
    ),
    "use behind": lambda p, name: (
        f"{fenced('python')(p, name)}Use:\n{FENCE}python\nprint({name})\n{FENCE}"
    ),
    "output behind": lambda p, name: (
        f"{fenced('python')(p, name)}Output:\n{FENCE}\n[1, 2] -> ok\n{FENCE}"
    ),
    "transcript behind": lambda p, name: (
        f"{fenced('python')(p, name)}Try:\n{FENCE}\n>>> {name}\n"
        f"<function>\n>>> def {name}(): pass\n{FENCE}"
    ),
    "shell before": lambda p, name: (
        f"{FENCE}bash\npip install numpy\n{FENCE}\n{fenced('python')(p, name)}"
    ),
    "wrong try before": lambda p, name: (
        f"{FENCE}python\ndef {name}(*args):\n    return None\n{FENCE}\nThat is wrong. Better:\n"
        f"{FENCE}python\n{p}\n{FENCE}"
    ),
    "helpers first": _helpers_first,
    "helpers in prose": _helpers_in_prose,
    "marks in a docstring": lambda p, name: fenced("python")(
        f'{p}\n\n\ndef shown():\n    """Shows it.\n\n'
        f'    {FENCE}\n    {name}\n    {FENCE}\n    """\n',
        name,
    ),
    "markers of other formats": lambda p, name: f"[PYTHON]\n{p}\n[/PYTHON]",
}


def responses(program: str, name: str) -> Iterator[tuple[str, str]]:
    """(layout, response) of every layout."""
    for layout, write in LAYOUTS.items():
        yield layout, write(program, name)
