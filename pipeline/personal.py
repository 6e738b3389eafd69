"""Personal data in a text: e-mail addresses, telephone numbers and whatever else names a person.

What is looked for has a form of its own; names and places of people have none, and are not found.
Telephone numbers are Google's (the library phonenumbers, of which this is the smaller package), and
addresses are checked by email-validator. Others were left out: Presidio needs spaCy, scrubadub has
had no release since 2023 and pins old packages, DataFog reports its use to its makers.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from pipeline.cells import BROKEN, BadRow, Rows
from pipeline.config import PersonalDataSettings

# What may be one; what it is, a check says.
_EMAIL = re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IP6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
# Without a country: at least seven digits, and parted by single signs, as sums and ranges are not.
_MAY_BE_PHONE = re.compile(r"\d(?:[ ().-]{0,2}\d){6,}")
_AS_WRITTEN = re.compile(r"\(\d{2,5}\) ?\d+(?:[ -]\d+)*|\d{2,5}(?:([ .-])\d{2,8})(?:\1\d{2,8})+")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# First digits and lengths of the numbers of six issuers, as they publish them.
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
)


class PersonalData(BadRow):
    """The row holds personal data: its reject names the kind, and holds no text of the row."""


def kinds_in(text: str, settings: PersonalDataSettings) -> list[str]:
    """The kinds of personal data that a text holds, of those that the settings name."""
    if not any(one.isdigit() or one == "@" for one in text):
        return []
    return [kind for kind in settings.kinds if next(_FOUND[kind](text, settings), None) is not None]


def refuse_personal(values: Iterable[Any], settings: PersonalDataSettings) -> None:
    """Refuse cells of which a text, at any depth, holds personal data; nothing where it is off.

    Raises:
        PersonalData: one does; the reason names the kinds and never the value.
    """
    if settings.mode == "off":
        return
    found = {kind for text in chain.from_iterable(map(_texts, values)) for kind in
             kinds_in(text, settings)}  # fmt: skip
    if found:
        raise PersonalData(f"holds personal data: {', '.join(sorted(found))}")


def without_personal(rows: Rows, settings: PersonalDataSettings) -> Rows:
    """Rows of a file; one that holds personal data says so in place of its columns."""
    return [(number, _checked(row, settings)) for number, row in rows]


def _checked(row: dict[str, Any], settings: PersonalDataSettings) -> dict[str, Any]:
    try:
        refuse_personal(row.values(), settings)
    except PersonalData as reason:
        return {BROKEN: str(reason)}
    return row


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_texts, value))


def _emails(text: str, settings: PersonalDataSettings) -> Iterator[str]:
    from email_validator import EmailNotValidError, validate_email

    for found in _EMAIL.finditer(text):
        try:
            validate_email(found[0], check_deliverability=False)
        except EmailNotValidError:
            continue
        yield found[0]


def _phones(text: str, settings: PersonalDataSettings) -> Iterator[str]:
    """Numbers with + and a country, and of the regions of the settings those as written there."""
    import phonenumbers

    if "+" in text or "\uff0b" in text:
        for found in phonenumbers.PhoneNumberMatcher(text, None):
            yield found.raw_string
    exact = phonenumbers.Leniency.EXACT_GROUPING
    for region in settings.phone_regions if _MAY_BE_PHONE.search(text) else ():
        for found in phonenumbers.PhoneNumberMatcher(text, region, leniency=exact):
            if _AS_WRITTEN.fullmatch(found.raw_string):
                yield found.raw_string


def _addresses(text: str, settings: PersonalDataSettings) -> Iterator[str]:
    """Addresses of the internet; not those of a private network, or of examples."""
    for found in chain(_IP4.finditer(text), _IP6.finditer(text)):
        try:
            few = ":" in found[0] and len(list(filter(None, found[0].split(":")))) < 3
            if ipaddress.ip_address(found[0]).is_global and not few:  # x[1::2] is Python
                yield found[0]
        except ValueError:
            continue


def _cards(text: str, settings: PersonalDataSettings) -> Iterator[str]:
    """Numbers of an issuer whose last digit is the check digit of the others (Luhn)."""
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        doubled = (sum(divmod(2 * int(one), 10)) for one in digits[-2::-2])
        total = sum(doubled) + sum(int(one) for one in digits[-1::-2])
        if _ISSUED.fullmatch(digits) and total % 10 == 0:
            yield found[0]


def _accounts(text: str, settings: PersonalDataSettings) -> Iterator[str]:
    """IBANs: with the first four signs behind the others, 1 modulo 97 (ISO 7064)."""
    for found in _IBAN.finditer(text):
        signs = found[0].replace(" ", "")
        if int("".join(str(int(one, 36)) for one in signs[4:] + signs[:4])) % 97 == 1:
            yield found[0]


_FOUND: dict[str, Callable[[str, PersonalDataSettings], Iterator[str]]] = {
    "email": _emails,
    "phone": _phones,
    "ip": _addresses,
    "credit_card": _cards,
    "iban": _accounts,
}
