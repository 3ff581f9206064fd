"""What is found in a text and what is left alone, kind by kind; and what holds of all findings."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data import personal
from luthier.data.personal import PERSONAL_KINDS, SECRET_KINDS, UNSURE, Finding, find, masked, recognisers
from luthier.data.personal.checks import base58_check
from luthier.data.personal.finding import RANK, apart
from luthier.data.personal.phone import Phone, unknown_regions

EVERY = recognisers(tuple(dict.fromkeys((*PERSONAL_KINDS, *UNSURE, *SECRET_KINDS))))
# Put together here, so that no scanner of this repository takes them for keys.
AWS, GITHUB, STRIPE = "AKIA" + "J5Q7XKTRQ2WZ3VNA", "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a", "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc"
PEM = "-----BEGIN RSA PRIVATE" + " KEY-----\n" + "MIIEpAIBAAKCAQEA7bq0x9Yp\n" * 4 + "-----END RSA PRIVATE" + " KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

# A text, and what is found in it: kind, value, certainty.
FOUND = [
    ("write to jane.doe+x@mail.example.co.uk.", "email", "jane.doe+x@mail.example.co.uk", "certain"),
    ("(o'hara@süd-werk.de)", "email", "o'hara@süd-werk.de", "certain"),
    ("mailto:bob@acme.io?subject=x", "email", "bob@acme.io", "certain"),
    ("https://a.io/login?mail=bob@acme.io&x", "email", "bob@acme.io", "certain"),
    ("jane [at] acme [dot] org", "email", "jane [at] acme [dot] org", "likely"),
    ("me@example.com", "email", "me@example.com", "possible"),
    ("my number is +44 20 7946 0958.", "phone", "+44 20 7946 0958", "certain"),
    ("tel:+14155552671", "phone", "+14155552671", "certain"),
    ("0049 30 901820 please", "phone", "0049 30 901820", "certain"),
    ("(212) 555-0143 2024-05-06", "phone", "(212) 555-0143", "likely"),
    ("617.495.1000 ext. 22", "phone", "617.495.1000 ext. 22", "likely"),
    ("+1-944-435-4352x04732", "phone", "+1-944-435-4352x04732", "likely"),
    ("ring 030/1234567", "phone", "030/1234567", "likely"),
    ("Telefon: 089 123456", "phone", "089 123456", "likely"),
    ("2025550143", "phone", "2025550143", "possible"),
    ("4111 1111 1111 1111", "credit_card", "4111 1111 1111 1111", "certain"),
    ("5555555555554444", "credit_card", "5555555555554444", "likely"),
    ("my card 5555555555554444", "credit_card", "5555555555554444", "certain"),
    ("3782-822463-10005", "credit_card", "3782-822463-10005", "certain"),
    ("2221 0000 0000 0009", "credit_card", "2221 0000 0000 0009", "certain"),
    ("visa 4222222222222", "credit_card", "4222222222222", "certain"),
    ("to GB82 WEST 1234 5698 7654 32, today", "iban", "GB82 WEST 1234 5698 7654 32", "certain"),
    ("DE89370400440532013000", "iban", "DE89370400440532013000", "certain"),
    ("no9386011117947", "iban", "no9386011117947", "certain"),
    ("account number: 1234567890", "bank_account", "1234567890", "likely"),
    ("routing number 011401533", "bank_account", "011401533", "certain"),
    ("sort code 12-34-56", "bank_account", "12-34-56", "likely"),
    ("SSN 536-22-1234", "national_id", "536-22-1234", "certain"),
    ("536-22-1234", "national_id", "536-22-1234", "likely"),
    ("his passport number is 912803456", "passport", "912803456", "likely"),
    ("Driver's license: D1234567", "driver_licence", "D1234567", "likely"),
    ("ping 8.8.8.8 twice", "ip_address", "8.8.8.8", "likely"),
    ("at 2a00:1450:4001:81b::200e", "ip_address", "2a00:1450:4001:81b::200e", "likely"),
    ("router 192.168.0.1", "ip_address", "192.168.0.1", "possible"),
    ("203.0.113.7", "ip_address", "203.0.113.7", "possible"),
    ("00:1B:44:11:3A:B7", "mac_address", "00:1B:44:11:3A:B7", "likely"),
    ("postgres://bob:hunter22@db.acme.io:5432/x", "url_credentials", "postgres://bob:hunter22@db.acme.io:5432/x", "certain"),
    ("https://bob@acme.io/x.", "url_credentials", "https://bob@acme.io/x", "likely"),
    ("https://user:password@host.io", "url_credentials", "https://user:password@host.io", "possible"),
    ("see linkedin.com/in/jane-doe-77", "profile_link", "linkedin.com/in/jane-doe-77", "likely"),
    ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "crypto_address", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "certain"),
    ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "crypto_address", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "certain"),
    ("0x52908400098527886E0F7030069857D2E4169EE7", "crypto_address", "0x52908400098527886E0F7030069857D2E4169EE7", "likely"),
    ("DOB: 03/05/1981", "birth_date", "03/05/1981", "likely"),
    ("I was born on May 5th, 1981", "birth_date", "May 5th, 1981", "likely"),
    ("Einstein was born 14 March 1879", "birth_date", "14 March 1879", "possible"),
    ("née le 3 mars 1990", "birth_date", "3 mars 1990", "possible"),
    ("12 Main Street, Springfield, IL 62704", "postal_address", "12 Main Street, Springfield, IL 62704", "likely"),
    ("10 Downing Street", "postal_address", "10 Downing Street", "possible"),
    ("Musterstraße 12, 12345 Berlin", "postal_address", "Musterstraße 12, 12345 Berlin", "likely"),
    ("12 rue de la Paix, 75002 Paris", "postal_address", "12 rue de la Paix, 75002 Paris", "likely"),
    ("My name is Ada Lovelace.", "person_name", "Ada Lovelace", "likely"),
    ("Dear Bob,", "person_name", "Bob", "likely"),
    ("ask Dr. Jan van der Berg", "person_name", "Jan van der Berg", "possible"),
    (f"key {AWS}", "api_key", AWS, "certain"),
    ("AKIAIOSFODNN7EXAMPLE", "api_key", "AKIAIOSFODNN7EXAMPLE", "possible"),
    (f"git clone https://{GITHUB}@github.com/a/b", "api_key", GITHUB, "certain"),
    ("clone https://bob:x7Kq92mZ@github.com/a/b", "url_credentials", "https://bob:x7Kq92mZ@github.com/a/b", "certain"),
    ("почта@пример.рф", "email", "почта@пример.рф", "certain"),
    (f"export T={GITHUB}", "api_key", GITHUB, "certain"),
    (STRIPE, "api_key", STRIPE, "certain"),
    (STRIPE.replace("live", "test"), "api_key", STRIPE.replace("live", "test"), "likely"),
    (f"Bearer {JWT}", "api_key", JWT, "certain"),
    (f"key:\n{PEM}\nend", "private_key", PEM, "certain"),
    ("-----BEGIN PRIVATE KEY----- (then the key)", "private_key", "-----BEGIN PRIVATE KEY-----", "possible"),
    ("password: Tr0ub4dor&3", "secret", "Tr0ub4dor&3", "likely"),
    ('"api_key": "f9Jk2LmN8pQrStUv4wXy"', "secret", "f9Jk2LmN8pQrStUv4wXy", "likely"),
    ("DB_PASSWORD='s3cr3t-horse!'", "secret", "s3cr3t-horse!", "likely"),
]  # fmt: skip

# What looks a little like something, and is nothing, however little certainty is asked for.
NOTHING = [
    "icon@2x.png", "@decorator", "git@github.com:acme/tool.git", "a@b", "user@localhost", "1@2.3", "foo@bar.c",
    "between 1990-1995", "1.234.567", "1,234,567,890", "3.14159265", "2020-01-01 12:30:45", "12/25/2020 07/04/1999", "$2345678",
    "http://x.y/2025550143", "ISBN 978-3-16-148410-0", "40.712776, -74.005974", "1 2 3 4 5 6 7 8 9", "12 14 16 18 20 22", "555-1234",
    "6 * 1234567 = 7407402", "100000000", "order 12345678", "123-45-67890",
    "4111111111111112", "4111 1111-1111 1111", "1748503543012", "0000000000000000", "0.4111111111111111", "x4111111111111111",
    "94111111111111111", "4222222222222", "call 1 2 3 4 5 6 7 8 9", "call about order 12345678", "routing number 011401534",
    "passport control at gate 12345", "driver's license required by 12345 people", "01:00:5e:00:00:fb",
    "password: changeme123!", "api_key: example0f9Jk2LmN8pQrSt", "access_token: customer_service_portal_2024", "password: Self-Service",
    "GB82 WEST 1234 5698 7654 33", "GB82WEST12345698765432X", "XX00 1234",
    "version 1.2.3.4", "v1.2.3.4", "127.0.0.1", "0.0.0.0", "255.255.255.0", "1.2.3", "1.2.3.4.5", "256.1.1.1",
    "std::vector", "a::b", "12:34:56", "::1", "::", "f::g::h",
    "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99",
    "666-12-1234", "000-12-1234", "123-00-1234", "123-12-0000", "078-05-1120",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdx",
    "https://acme.io/@jane", "https://acme.io:8080/x", "facebook.com/sharer", "x.com/home", "netflix.com/title",
    "9b74c9897bac770ffc029102a200c5de", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "550e8400-e29b-41d4-a716-446655440000",
    "token: 550e8400-e29b-41d4-a716-446655440000", "secret_key: da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "password: your-password-here", "api_key=os.environ['API_KEY']", "token = get_token(user_id=1)", "password: ${DB_PASSWORD}",
    "password: {{ password }}", "password: ********", "PASSWORD_FILE=/run/secrets/db_password", "Password is required.",
    "password: The user's password", "the secret is that nobody knows", "api_key: <your-api-key>", "public_key = f9Jk2LmN8pQrStUv4wXy",
    "max_tokens: 4096", "csrf_token=f9Jk2LmN8pQrStUv4wXy", "keyboard: f9Jk2LmN8pQrStUv4wXy", "tokenizationId: f9Jk2LmN8pQrStUv4wXy",
    "recallNoticesRecallBusinessUnits-validation-group-1297083594-1", "sha512-0UPjpq0GvRyzxDbeM8ConLICmLjRgcwuy4A1b2C3d4==",
    "eyJub3QiOiJhIGhlYWQifQ.eyJhIjoxfQ.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "sk-learn-is-a-library-of-many-things-to-use",
    "risk-averse", "passport control", "a driver's license is required", "INTRODUCTORY", "born to run", "Dear Sir,", "Hi there,",
    "Main Street", "in 1984 Street", "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "value", "certainty"), FOUND)
def test_it_is_found_where_it_stands(text: str, kind: str, value: str, certainty: str) -> None:
    found = [(one.kind, text[one.start : one.end], one.certainty) for one in find(text, EVERY, "possible")]
    assert (kind, value, certainty) in found


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_is_found_where_nothing_is(text: str) -> None:
    assert [(one.kind, text[one.start : one.end]) for one in find(text, EVERY, "possible")] == []
    said = f"We saw {text} here"
    assert [(one.kind, said[one.start : one.end]) for one in find(said, EVERY, "likely")] == []


@pytest.mark.parametrize(("text", "kind", "value", "certainty"), FOUND)
def test_what_stands_around_it_does_not_hide_it(text: str, kind: str, value: str, certainty: str) -> None:
    for before, after in (("Well, ", " and so on"), ("日本語。", "。終わり"), ("電話", "です"), ("\n", "\n")):
        if kind in UNSURE and before != "\n":
            continue  # a greeting stands at the beginning of a line, and a name in Latin letters among others of them
        said = before + text + after
        assert (kind, value) in [(one.kind, said[one.start : one.end]) for one in find(said, EVERY, "possible")]


pieces = st.one_of(
    st.sampled_from([text for text, *_ in FOUND]),
    st.sampled_from(NOTHING),
    st.text(max_size=8),
    st.sampled_from([" ", "\n", ", ", ":", "@", "0"]),
)
texts = st.lists(pieces, max_size=6).map("".join)


@given(text=texts)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_findings_are_in_order_within_the_text_and_apart(text: str) -> None:
    found = find(text, EVERY, "possible")
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(one.end <= following.start for one, following in pairwise(found))


@given(text=texts)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_cheap_signs_hide_nothing(text: str) -> None:
    assert find(text, EVERY, "possible") == apart(one for recogniser in EVERY for one in recogniser.find(text))


@given(text=texts)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_asking_for_more_certainty_leaves_out_and_adds_none_that_was_not_seen(text: str) -> None:
    every = [one for recogniser in EVERY for one in recogniser.find(text)]
    for level in ("possible", "likely", "certain"):
        assert set(find(text, EVERY, level)) <= {one for one in every if RANK[one.certainty] >= RANK[level]}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.sampled_from(["possible", "likely", "certain"])), max_size=8))
def test_of_two_that_overlap_the_more_certain_stays_then_the_longer(drawn: list[tuple[int, int, str]]) -> None:
    findings = [Finding("k", start, start + n, certainty) for start, n, certainty in drawn]  # type: ignore[arg-type]
    stay = apart(findings)
    for one in findings:
        rivals = [other for other in stay if other.start < one.end and one.start < other.end]
        assert rivals, "what goes, goes for another"
        assert any((RANK[other.certainty], other.end - other.start) >= (RANK[one.certainty], one.end - one.start) for other in rivals)


def test_two_that_touch_are_apart() -> None:
    touching = (Finding("a", 0, 5, "likely"), Finding("b", 5, 9, "likely"), Finding("c", 9, 10, "certain"))
    assert apart(reversed(touching)) == touching


def test_a_card_after_the_word_account_is_a_card() -> None:
    assert [one.kind for one in find("account number 5555555555554444")] == ["credit_card"]


def test_a_checksum_alone_makes_no_wallet() -> None:
    payload = b"\x05" + bytes(range(1, 20))
    number = int.from_bytes(payload + sha256(sha256(payload).digest()).digest()[:4], "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    assert base58_check(text) == payload and text[0] in "13LMDTX29A"
    assert find(text, EVERY, "possible") == ()


def test_a_password_in_an_address_goes_with_the_whole_address() -> None:
    text = "see ftp://bob:pa55word@acme.org/in and ann@acme.org"
    assert [(one.kind, text[one.start : one.end]) for one in find(text)] == [
        ("url_credentials", "ftp://bob:pa55word@acme.org/in"),
        ("email", "ann@acme.org"),
    ]


def test_two_numbers_in_a_row_are_two() -> None:
    text = "call 020 7946 0958 or 020 7946 0321, 800-555-1212 617.495.1000"
    assert [text[one.start : one.end] for one in find(text)] == ["020 7946 0958", "020 7946 0321", "800-555-1212", "617.495.1000"]


def test_a_region_makes_its_numbers_known() -> None:
    text = "it is 030 901820, good"
    assert find(text, recognisers(["phone"]), "possible") == ()
    assert [text[one.start : one.end] for one in find(text, recognisers(["phone"], ("DE",)))] == ["030 901820"]
    assert unknown_regions(("DE", "XY", "de")) == ("XY", "de")
    assert recognisers(["phone"])[0] == Phone()


def test_names_and_postal_addresses_are_looked_for_only_where_they_are_asked_for() -> None:
    text = "My name is Ada Lovelace, 12 Main Street, Springfield, IL 62704"
    assert find(text) == ()
    assert {one.kind for one in find(text, EVERY)} == {"person_name", "postal_address"} == set(UNSURE)


def test_a_masked_text_shows_kinds_and_nothing_else_of_them() -> None:
    assert masked("Mail jane@acme.org, card 4111 1111 1111 1111!") == "Mail [EMAIL], card [CREDIT_CARD]!"
    assert masked("nothing here") == "nothing here"


@pytest.mark.parametrize(
    "piece",
    [
        "a", "1", "0-", "a@", "@a.", "1.", "1 ", "(1", "A1", "://a", "-----BEGIN PRIVATE KEY-----", "eyJ", "x:", "key=", "A. ", "Aa ",
        "fe80:", "12 Aa ",
    ],
)  # fmt: skip
def test_a_long_text_made_to_be_slow_is_read_to_its_end(piece: str) -> None:
    # Anything that takes the square of the length would still be at it tomorrow.
    text = piece * (60_000 // len(piece))
    assert find(text + " jane@acme.org ", EVERY, "possible")[-1].end == len(text) + 14


def test_findings_say_what_they_are_more_exactly() -> None:
    assert [one.what for one in find(f"{AWS} and 4111 1111 1111 1111", personal.DEFAULT)] == ["AWS access key id", "Visa"]
