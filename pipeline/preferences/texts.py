"""Which texts a row of preference data compares: what draws and controls hash."""

from collections.abc import Mapping
from typing import Any

from pipeline.ids import content_id


def text_ids(row: Mapping[str, Any]) -> list[str]:
    """Ids of the texts of a row of `preferences`, `preference_lists` or `unpaired`, sorted.

    Sorted, so that a control with exchanged sides or prompts has the same; where the sides have
    prompts of their own, those count too, since one response may be compared under several.
    """
    if "items" in row:
        return sorted(item["item_id"] for item in row["items"])
    if "desirable" in row:
        return [row["response_id"]]
    sides = sorted([row["chosen_id"], row["rejected_id"]])
    if row.get("rejected_messages") is None:
        return sides
    return [*sides, *sorted(content_id(row[turns]) for turns in ("messages", "rejected_messages"))]
