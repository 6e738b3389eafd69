"""The texts inside columns of any depth: each leaf with the row that it stands in."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

FIELD_ID = b"PARQUET:field_id"  # where Arrow keeps a Parquet column's number


def leaves(
    values: pa.Array, kept: pa.Field, rows: pa.Array | None = None
) -> Iterator[tuple[int | None, pa.Array, pa.Array]]:
    """(field id, values, the row of each value) of every leaf of a column.

    rows: of each value of `values`; null: they are the rows.
    """
    if rows is None:
        rows = pa.array(range(len(values)), pa.int64())
    if pa.types.is_list(kept.type) or pa.types.is_large_list(kept.type):
        parents = pc.list_parent_indices(values)
        inner = pc.list_flatten(values)
        yield from leaves(inner, kept.type.value_field, rows.take(parents))
    elif pa.types.is_struct(kept.type):
        for place in range(kept.type.num_fields):
            own = kept.type.field(place)
            yield from leaves(pc.struct_field(values, place), own, rows)
    else:
        number = (kept.metadata or {}).get(FIELD_ID)
        yield (None if number is None else int(number)), values, rows


def texts(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[pa.Array, pa.Array]]:
    """(texts, the row of each) of every leaf that holds texts."""
    for name in table.schema.names:
        column = table[name]
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for _, values, rows in leaves(whole, table.schema.field(name)):
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                yield values, rows
