"""Which tables a query names, and what it says."""

import pytest

from pipeline.steps.queries import NotOneSelect, meaning_of_query, tables_of_query


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT 1", ""),
        ("FROM votes", "votes"),
        ("SELECT * FROM Votes v JOIN \"Responses\" r ON v.a = r.b, prompts",
         "votes responses prompts"),
        ("SELECT (SELECT max(x) FROM a), y IN (FROM b) FROM c WHERE EXISTS (FROM d)", "a b c d"),
        ("SELECT * FROM a UNION ALL (SELECT * FROM b EXCEPT SELECT * FROM c)", "a b c"),
        ("WITH x AS (SELECT * FROM a), y AS (SELECT * FROM x) SELECT * FROM x, y, b", "a b"),
        ("SELECT * FROM (WITH x AS (FROM a) FROM x) JOIN b USING (i)", "a b"),
        ("WITH votes AS (SELECT * FROM votes WHERE p > 0) FROM votes", "votes"),
        ("WITH x AS (FROM a) SELECT * FROM (WITH a AS (FROM b) FROM a) JOIN a USING (i)", "a b"),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t, a) FROM t", "a"),
        ("SELECT 'FROM nothing' AS text -- FROM less\nFROM a", "a"),
        ("SELECT * FROM lake.main.votes", "votes"),
        ("PIVOT a ON x USING sum(y)", None),
        ("SELECT * FROM a, unnest([1, 2]), range(3)", "a"),
    ],
)  # fmt: skip
def test_the_tables_of_a_query_are_those_that_it_reads_and_does_not_make(
    query: str, names: str | None
) -> None:
    if names is None:
        with pytest.raises(NotOneSelect):
            tables_of_query(query)
    else:
        assert tables_of_query(query) == set(names.split())


@pytest.mark.parametrize(
    "text", ["", "SELEC 1", "SELECT 1; SELECT 2", "DELETE FROM a", "DROP TABLE a"]
)
def test_what_is_not_one_select_is_one_line(text: str) -> None:
    with pytest.raises(NotOneSelect, match="expected one SELECT") as caught:
        tables_of_query(text)
    assert "\n" not in str(caught.value)


def test_comments_and_layout_say_nothing_and_numbers_and_names_do() -> None:
    said = meaning_of_query("SELECT a, 1 FROM t WHERE b > 2")
    assert meaning_of_query("-- why\nSELECT  a,\n  1\nFROM t /* all */ WHERE b > 2;") == said
    for other in (
        "SELECT a, 1 FROM t WHERE b > 3",
        "SELECT a, 1 FROM u WHERE b > 2",
        "SELECT 1, a FROM t WHERE b > 2",
    ):
        assert meaning_of_query(other) != said
