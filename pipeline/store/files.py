"""The queries of the folder sql/, by name."""

from functools import lru_cache

from pipeline import config
from pipeline.errors import OrchardError


@lru_cache(maxsize=256)
def query_text(name: str) -> str:
    """The text of sql/<name>.sql.

    Raises:
        OrchardError: there is no such file; the message names those that there are.
    """
    path = config.SHIPPED / "sql" / f"{name}.sql"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.sql"))) or "none"
        raise OrchardError(f"no query {name!r} in {path.parent}: there are {known}")
    return path.read_text(encoding="utf-8")
