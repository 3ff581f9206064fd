"""The demo's rows: the clean messages as an export of a help desk would hold them, and the record of what was done to them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from luthier.core.draws import seed_of, unit
from luthier.core.files import write_text
from luthier.demo.clean import Clean, clean_messages
from luthier.demo.customers import Customer, customers_of
from luthier.demo.spoilt import N_HTML_STYLES, as_html, broken_off, misread, quoted, retold, second_tries, typographic

Kind: TypeAlias = Literal[
    "html", "mojibake", "quoted_reply", "signature", "exact_duplicate", "near_duplicate", "empty", "cut_off", "wrong_label"
]
COLUMNS = ("ticket_id", "customer_id", "received", "channel", "message", "intent")
SHARES: Mapping[Kind, float] = {
    "html": 0.12, "mojibake": 0.08, "quoted_reply": 0.08, "signature": 0.13, "exact_duplicate": 0.02, "near_duplicate": 0.03,
    "empty": 0.01, "cut_off": 0.01, "wrong_label": 0.015,
}  # fmt: skip
"""The share of the originals and their copies that each kind of dirt is drawn for; copies inherit some of it."""
CONFUSED: Mapping[str, tuple[str, ...]] = {
    "complaint_service": ("repair_status", "order_status"),
    "custom_build": ("repair_quote", "order_status"),
    "invoice_payment": ("return_refund", "order_status", "rental"),
    "lesson_booking": ("opening_hours", "invoice_payment"),
    "opening_hours": ("lesson_booking", "order_status"),
    "order_status": ("repair_status", "invoice_payment"),
    "rental": ("return_refund", "invoice_payment"),
    "repair_quote": ("warranty_claim", "setup_advice"),
    "repair_status": ("order_status", "repair_quote"),
    "return_refund": ("warranty_claim", "order_status"),
    "setup_advice": ("repair_quote", "lesson_booking"),
    "warranty_claim": ("repair_quote", "return_refund"),
}
"""What somebody in a hurry files a message under instead."""
_BLANKS = ("", " ", "\n", "   \n", "\t")
_FIRST_DAY, _N_DAYS = date(2025, 7, 1), 360
_FIRST_TICKET = 20001
_SHORTEST = 60
_LONGEST_CHAT = 400
_SECOND_ACCOUNT = 0.25


@dataclass(frozen=True)
class Dirt:
    """What was done to one ticket.

    `kinds` are all that applies to its message as it stands, so a copy of an HTML message is HTML too. `plain` is the
    message before it was marked up or misread, `of` the ticket that a duplicate copies, and `true_label` the intent that
    the message has, whatever its row says.
    """

    kinds: tuple[Kind, ...]
    clean_id: str
    plain: str
    of: str | None
    true_label: str


@dataclass(frozen=True)
class Dirty:
    """Rows with the columns `COLUMNS`, in the order of `received`, and what was done to each by its ticket's id."""

    rows: tuple[dict[str, str], ...]
    record: Mapping[str, Dirt]


@dataclass(frozen=True)
class _Ticket:
    """A row before it has a number; `key` and `of` are names that do not depend on the other rows."""

    key: str
    clean: Clean
    customer: Customer
    account: str
    received: date
    channel: str
    kinds: frozenset[Kind]
    core: str
    plain: str
    message: str
    intent: str
    of: str | None = None


def dirty_rows(seed: int = 0) -> Dirty:
    """All clean messages as tickets of a help desk, with the dirt of `SHARES`; a pure function of the seed."""
    messages = clean_messages()
    writers = customers_of(messages, seed)
    drawn = _drawn(messages, seed)
    originals = {one.id: _ticket(one, writers[one.id], drawn, seed) for one in messages}
    tickets = [
        *originals.values(),
        *(_again(originals[one], seed) for one in drawn["exact_duplicate"]),
        *islice(filter(None, (_nearly_again(originals[one], seed) for one in drawn["near_duplicate"])), _n_of("near_duplicate", messages)),
        *(_nothing(originals[one], seed) for one in drawn["empty"]),
    ]
    tickets.sort(key=lambda one: (one.received, seed_of(seed, "day", one.clean.id), one.of is not None, one.key))
    numbers = {one.key: f"HW-{_FIRST_TICKET + i}" for i, one in enumerate(tickets)}
    return Dirty(tuple(_row(one, numbers[one.key]) for one in tickets), {numbers[one.key]: _dirt(one, numbers) for one in tickets})


def write_csv(rows: Iterable[Mapping[str, str]], path: Path) -> None:
    """Write rows as CSV (RFC 4180, UTF-8, a header line, lines that end with CR LF), whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _row(ticket: _Ticket, number: str) -> dict[str, str]:
    values = (number, ticket.account, ticket.received.isoformat(), ticket.channel, ticket.message, ticket.intent)
    return dict(zip(COLUMNS, values, strict=True))


def _dirt(ticket: _Ticket, numbers: Mapping[str, str]) -> Dirt:
    kinds = tuple(kind for kind in SHARES if kind in ticket.kinds)
    return Dirt(kinds, ticket.clean.id, ticket.plain, numbers[ticket.of] if ticket.of else None, ticket.clean.intent)


def _n_of(kind: Kind, messages: Sequence[Clean]) -> int:
    """How many tickets a kind of dirt is drawn for; three kinds add tickets of their own."""
    return round(SHARES[kind] * len(messages) / (1 - SHARES["exact_duplicate"] - SHARES["near_duplicate"] - SHARES["empty"]))


def _drawn(messages: Sequence[Clean], seed: int) -> Mapping[Kind, tuple[str, ...]]:
    """The ids of the messages that each kind of dirt befalls: of those that it can befall, the first in a drawn order.

    Of near-duplicates all candidates are given, since some messages are too short to be said nearly the same.
    """
    found: dict[Kind, tuple[str, ...]] = {}

    def draw(kind: Kind, fits: Callable[[Clean], bool], unless: tuple[Kind, ...] = ()) -> None:
        taken = {one for other in unless for one in found[other]}
        able = [message.id for message in messages if message.id not in taken and fits(message)]
        in_order = sorted(able, key=lambda one: seed_of(seed, kind, one))
        found[kind] = tuple(in_order if kind == "near_duplicate" else in_order[: _n_of(kind, messages)])

    def by(message: Clean, *channels: str) -> bool:
        return _channel(message, seed) in channels

    draw("cut_off", lambda one: len(one.text) >= _SHORTEST)
    draw("wrong_label", lambda one: True, unless=("cut_off",))
    draw("html", lambda one: by(one, "email", "web form"))
    draw("mojibake", lambda one: not typographic(one.text).isascii(), unless=("cut_off",))
    draw("quoted_reply", lambda one: by(one, "email"), unless=("cut_off",))
    draw("signature", lambda one: by(one, "email", "web form"), unless=("cut_off",))
    draw("exact_duplicate", lambda one: True, unless=("cut_off", "wrong_label"))
    draw("near_duplicate", lambda one: len(one.text) >= _SHORTEST, unless=("cut_off", "wrong_label", "exact_duplicate"))
    draw("empty", lambda one: True)
    return found


def _channel(message: Clean, seed: int) -> str:
    draw = unit(seed, "channel", message.id)
    if len(message.text) > _LONGEST_CHAT:
        draw *= 0.8
    return "email" if draw < 0.5 else "web form" if draw < 0.8 else "chat"


def _ticket(message: Clean, customer: Customer, drawn: Mapping[Kind, tuple[str, ...]], seed: int) -> _Ticket:
    """The message with the dirt that befell it, in the order in which it happens: words, mail, markup, wrong decoding."""
    own: set[Kind] = {
        kind for kind, ids in drawn.items() if message.id in ids and kind not in ("exact_duplicate", "near_duplicate", "empty")
    }
    received = _FIRST_DAY + timedelta(days=int(unit(seed, "received", message.id) * _N_DAYS))
    core = typographic(message.text) if "mojibake" in own and message.text.isascii() else message.text
    if "cut_off" in own:
        core = broken_off(core, unit(seed, "cut", message.id))
    plain = f"{core}\n\n{customer.signature}" if "signature" in own else core
    if "quoted_reply" in own:
        draw = seed_of(seed, "quoted", message.id)
        earlier = quoted(customer.name, message.lang, received - timedelta(days=1 + draw % 6), draw // 6)
        plain = f"{earlier}\n\n{plain}" if draw // 600 % 4 == 0 else f"{plain}\n\n{earlier}"
    shown = as_html(plain, seed_of(seed, "style", message.id) % N_HTML_STYLES) if "html" in own else plain
    intent = message.intent
    if "wrong_label" in own:
        others = CONFUSED[intent]
        intent = others[seed_of(seed, "wrong", message.id) % len(others)]
    return _Ticket(
        key=message.id,
        clean=message,
        customer=customer,
        account=customer.id,
        received=received,
        channel=_channel(message, seed),
        kinds=frozenset(own),
        core=core,
        plain=plain,
        message=misread(shown) if "mojibake" in own else shown,
        intent=intent,
    )


def _again(first: _Ticket, seed: int) -> _Ticket:
    """The same message sent twice: the same day or the next, now and then from another account."""
    key = f"{first.key} again"
    later = first.received + timedelta(days=seed_of(seed, "later", key) % 2)
    kinds: frozenset[Kind] = first.kinds.union(["exact_duplicate"])
    return replace(first, key=key, of=first.key, received=later, account=_account(first, key, seed), kinds=kinds)


def _nearly_again(first: _Ticket, seed: int) -> _Ticket | None:
    """Nearly the same message a few days later, without markup and read rightly; None where no other wording is near."""
    key = f"{first.key} nearly again"
    kinds: frozenset[Kind] = first.kinds.difference(["html", "mojibake"]).union(["near_duplicate"])
    later = first.received + timedelta(days=1 + seed_of(seed, "later", key) % 9)
    like = replace(first, key=key, of=first.key, received=later, account=_account(first, key, seed), kinds=kinds)
    core = retold(first.core, first.plain, second_tries(first.core, first.clean.lang, seed, "nearly", first.key))
    if core is None:
        return None
    plain = first.plain.replace(first.core, core, 1)
    return replace(like, core=core, plain=plain, message=plain)


def _nothing(like: _Ticket, seed: int) -> _Ticket:
    """A ticket of the same customer, filed alike, in which nothing is written."""
    key = f"{like.key} without a word"
    blank = _BLANKS[seed_of(seed, "blank", key) % len(_BLANKS)]
    received = _FIRST_DAY + timedelta(days=int(unit(seed, "received", key) * _N_DAYS))
    kinds: frozenset[Kind] = frozenset(["empty"])
    return replace(like, key=key, received=received, kinds=kinds, core=blank, plain=blank, message=blank, intent=like.clean.intent)


def _account(first: _Ticket, key: str, seed: int) -> str:
    """The account that a copy comes from: the same, or now and then another one of the same person."""
    return first.customer.second_account() if unit(seed, "account", key) < _SECOND_ACCOUNT else first.account
