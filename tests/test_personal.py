"""Personal data is told by its form, and a reject of it holds none."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.cli.importing import bring
from pipeline.config import JudgeSettings, PersonalDataSettings, PoolSettings, Settings
from pipeline.personal import kinds_in, without_personal
from pipeline.prompts.pools import load_pools
from pipeline.sources.opened import Asked, open_source
from pipeline.store import Lake

ON = PersonalDataSettings(mode="reject", phone_regions=("US", "DE"))
HELD = [
    ("write to jane.doe@some-firm.co.uk.", "email"),
    ("call +49 30 901820 now", "phone"),
    ("(212) 736-5000 is the hotel", "phone"),
    ("his host was 8.8.4.4", "ip"),
    ("and 2a00:1450:4001:81b::200e", "ip"),
    ("paid with 4111 1111 1111 1111", "credit_card"),
    ("IBAN DE89 3704 0044 0532 0130 00", "iban"),
]
NONE = [
    "28980 - 18480 apples, 360-270, 3900/15 and 0.555555",
    "x[1::2] and y[::3], version 1.2.3, at 12:30:45",
    "a @ b, user@host, 1234567890123456, 192.168.0.1",
    "4111 1111 1111 1112",
    "2025550123 of 12125550199",
]


@pytest.mark.parametrize(("text", "kind"), HELD)
def test_each_kind_is_found_and_only_it(text: str, kind: str) -> None:
    assert kinds_in(text, ON) == [kind]
    others = tuple(one for one in ON.kinds if one != kind)
    assert kinds_in(text, PersonalDataSettings(mode="reject", kinds=others)) == []


@pytest.mark.parametrize("text", NONE)
def test_sums_slices_and_versions_are_none(text: str) -> None:
    assert kinds_in(text, ON) == []


def test_a_number_without_its_country_is_none_unless_the_region_is_named() -> None:
    assert kinds_in("(212) 736-5000", PersonalDataSettings(mode="reject")) == []


def test_a_region_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no region is named 'XX'"):
        PersonalDataSettings(mode="reject", phone_regions=("US", "XX"))


@settings(deadline=None)  # the first call loads the rules of all countries
@given(st.text(), st.lists(st.integers(0, 10**17), max_size=5))
def test_any_text_is_read_without_an_error(text: str, numbers: list[int]) -> None:
    kinds_in(text + " ".join(f"{one:,}" for one in numbers) + "@", ON)


@pytest.mark.parametrize(
    "sums", [f"{a} + {b} = {a + b}; {a} x {b}" for a in range(3, 9999, 1111) for b in (7, 12345)]
)
def test_sums_hold_no_personal_data(sums: str) -> None:
    assert kinds_in(sums, ON) == []


def settings_of(path: Path, personal: PersonalDataSettings) -> Settings:
    pool = PoolSettings(name="p", source="file", path=str(path))
    return Settings(profile="t", pools=(pool,), personal_data=personal)


def test_a_pools_row_becomes_a_reject_that_names_the_kind_alone(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    asked = ["1 + 1?", "Write to jane@some-firm.org: how much is 1 + 1?"]
    path.write_text("\n".join(json.dumps({"question": one, "answer": "2"}) for one in asked))
    prompts, rejects = load_pools(settings_of(path, ON))
    assert prompts.height == 1 and "jane" not in str(rejects.to_dicts())
    assert rejects["reason"].to_list() == ["pool.jsonl row 2: holds personal data: email"]
    off, nothing = load_pools(settings_of(path, PersonalDataSettings()))
    assert off.height == 2 and nothing.is_empty()


def test_an_imported_row_becomes_such_a_reject_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"Who? {said}", "chosen": "One.", "rejected": "Another."}
        for said in ("nobody", "jane@some-firm.org", "somebody")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert bring(open_source(path, Asked(personal=ON)), JudgeSettings()).pairs == 2
    with Lake(tmp_path / "home") as lake:
        (reject,) = lake.read("rejects").to_dicts()
        assert "holds personal data: email" in reject["reason"] and "jane" not in str(reject)
        assert lake.read("recorded_pairs").height == 2


def test_rows_are_as_they_were_where_it_is_off() -> None:
    rows = [(1, {"a": "jane@some-firm.org"})]
    assert without_personal(rows, PersonalDataSettings()) == rows
