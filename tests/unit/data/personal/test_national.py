"""Numbers of persons are the ones that python-stdnum takes, country by country."""

from __future__ import annotations

import importlib
import random
import re

import pytest

from luthier.data import personal
from luthier.data.personal.national_id import ISSUED, NationalId, bare

# What we find → the library's module, and how a number of the kind is written: d a digit, % a date (year, month, day), & one
# with the day first, l a letter, other signs themselves.
FORMS = {
    "us_ssn": ("us.ssn", "ddd-dd-dddd"),
    "us_itin": ("us.itin", "9dd-dd-dddd"),
    "gb_nhs": ("gb.nhs", "ddd ddd dddd"),
    "es_nif": ("es.nif", "ddddddddl"),
    "it_codice_fiscale": ("it.codicefiscale", "llllllddlddldddl"),
    "fr_nir": ("fr.nir", "1dd01dddddddddd"),
    "de_idnr": ("de.idnr", "ddddddddddd"),
    "nl_bsn": ("nl.bsn", "ddddddddd"),
    "be_national": ("be.nn", "%.ddd.dd"),
    "pl_pesel": ("pl.pesel", "%ddddd"),
    "se_personnummer": ("se.personnummer", "%-dddd"),
    "fi_hetu": ("fi.hetu", "&-dddl"),
    "no_fodselsnummer": ("no.fodselsnummer", "&ddddd"),
    "pt_nif": ("pt.nif", "2dddddddd"),
    "ch_ahv": ("ch.ssn", "756.dddd.dddd.dd"),
    "ie_pps": ("ie.pps", "dddddddl"),
    "ro_cnp": ("ro.cnp", "1%dddddd"),
    "cz_rodne_cislo": ("cz.rc", "%/dddd"),
    "gr_amka": ("gr.amka", "&ddddd"),
    "bg_egn": ("bg.egn", "%dddd"),
    "ee_isikukood": ("ee.ik", "3%dddd"),
    "hr_oib": ("hr.oib", "ddddddddddd"),
    "br_cpf": ("br.cpf", "ddd.ddd.ddd-dd"),
    "cl_rut": ("cl.rut", "dd.ddd.ddd-d"),
    "mx_curp": ("mx.curp", "llll%HDFllldd"),
    "ca_sin": ("ca.sin", "ddd-ddd-ddd"),
    "au_tfn": ("au.tfn", "ddd ddd ddd"),
    "cn_resident": ("cn.ric", "11010119%dddd"),
    "in_aadhaar": ("in_.aadhaar", "2ddd dddd dddd"),
    "il_id": ("il.idnr", "ddddddddd"),
    "th_pin": ("th.pin", "1-dddd-ddddd-dd-d"),
    "tr_kimlik": ("tr.tckimlik", "ddddddddddd"),
    "za_id": ("za.idnr", "%dddd08d"),
}
# Where the library asks more of a number than its rule: that it be no test number, that it fit its tables of places and dates; or
# knows an older rule.
STRICTER = {
    "us_itin",
    "fr_nir", "it_codice_fiscale", "mx_curp", "cn_resident", "ro_cnp", "se_personnummer", "be_national", "za_id", "fi_hetu",
    "no_fodselsnummer", "cz_rodne_cislo", "in_aadhaar",
}  # fmt: skip
LETTERS = "ABCDEFGHJKLMNPRSTVWXYZ"


def written(form: str, draw: random.Random) -> str:
    """A number of the form, most of them with check digits that do not fit."""
    year, month, day = f"{draw.randrange(30, 99):02}", f"{draw.randrange(1, 13):02}", f"{draw.randrange(1, 29):02}"
    made = {"d": lambda: draw.choice("0123456789"), "l": lambda: draw.choice(LETTERS)}
    dates = {"%": year + month + day, "&": day + month + year}
    return "".join(dates[one] if one in dates else made[one]() if one in made else one for one in form)


def as_read(what: str, number: str) -> bool:
    """Whether one of the forms reads it, and its rule takes it."""
    some = [one for one in ISSUED if one.what == what and one.form.fullmatch(number)]
    assert some, f"{number} has no form of {what}"
    return any(one.rule(bare(what, number)) for one in some)


@pytest.mark.parametrize("what", FORMS)
def test_a_number_is_taken_if_the_library_takes_it(what: str) -> None:
    name, form = FORMS[what]
    module = importlib.import_module(f"stdnum.{name}")
    draw = random.Random(what)
    n_valid = n_tried = 0
    while n_valid < 25 and n_tried < 40_000:
        n_tried += 1
        number = written(form, draw)
        if what == "de_idnr" and re.search(r"(\d)\1\1", number):
            continue  # which the tax office rules out, and the library does not
        if what == "it_codice_fiscale" and int(number[9:11]) > 71:
            continue  # no day of a month, nor one with the 40 that is added for women
        if what == "be_national":
            number = f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[7:]}"
        theirs = bool(module.is_valid(number))
        n_valid += theirs
        if theirs or (n_tried <= 2000 and any(one.form.fullmatch(number) for one in ISSUED if one.what == what)):
            mine = as_read(what, number)
            assert mine or not theirs, number
            assert mine == theirs or what in STRICTER, number
    assert n_valid >= 25, "so few valid numbers show nothing"


# Countries that the library has no rule for, with numbers that their issuers print as examples.
@pytest.mark.parametrize(
    ("what", "right", "wrong"),
    [
        ("gb_nino", "AB 12 34 56 C", "GB 12 34 56 C"),
        ("gb_nino", "JG103759A", "JG103759E"),
        ("sg_nric", "S1234567D", "S1234567A"),
        ("sg_nric", "G1234567X", "G1234567L"),
        ("sg_nric", "M1234567K", "M1234567A"),
        ("hk_id", "A123456(3)", "A123456(4)"),
        ("hk_id", "AB987654(3)", "AB987654(2)"),
        ("kr_rrn", "820701-2409184", "821301-2409184"),
        ("jp_my_number", "my number 1234-5678-9018", "my number 1234-5678-9011"),
        ("dk_cpr", "cpr 130256-1234", "cpr 320256-1234"),
        ("in_pan", "ABCPE1234F", "ABCDE1234F"),
        ("es_nif", "X-1234567-L", "X-1234567-A"),
        ("fr_nir", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
        ("fr_nir", "2 69 05 2A 588 157 17", "2 69 05 2B 588 157 17"),
        ("us_ssn", "123-12-1234", "666-12-1234"),
    ],
)  # fmt: skip
def test_examples_of_the_issuers_are_found_and_their_near_misses_are_not(what: str, right: str, wrong: str) -> None:
    found = personal.find(f"Please note {right}, thank you", [NationalId()])
    assert [one.what for one in found] == [what]
    assert personal.find(f"Please note {wrong}, thank you", [NationalId()]) == ()


def test_a_number_that_needs_words_is_found_beside_them_alone() -> None:
    for one in ISSUED:
        assert one.alone is not None or one.words is not None, f"{one.what} could never be found"
    number = "943 476 5919"
    assert [one.certainty for one in personal.find(f"NHS number {number}", [NationalId()])] == ["certain"]
    assert [one.certainty for one in personal.find(f"{number} (NHS)", [NationalId()])] == ["certain"]
    assert personal.find(f"number {number}", [NationalId()], "possible") == ()
    assert personal.find(f"banhs {number}", [NationalId()], "possible") == ()


def test_every_register_that_has_a_rule_is_tested() -> None:
    tested_by_hand = {"gb_nino", "sg_nric", "hk_id", "kr_rrn", "jp_my_number", "dk_cpr", "in_pan"}
    assert {one.what for one in ISSUED} == set(FORMS) | tested_by_hand
    assert all(re.fullmatch(r"[a-z]{2}_[a-z_]+", one.what) for one in ISSUED)
