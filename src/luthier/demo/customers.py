"""The invented people who write to the workshop, and which of the messages each of them wrote."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.core.draws import permutation, seed_of, unit
from luthier.demo.clean import Clean

# First and last names by language; every pair of them is somebody.
_NAMES: Mapping[str, tuple[str, str]] = {
    "en": (
        "Aoife Adaeze Alan Alice Amara Anita Arthur Beatrix Bernard Bríd Callum Carys Cathal Chidi Clare Conor Danuta Dermot Dilys Edith"
        " Eilidh Esther Fergus Fiona Gareth Geraldine Gwen Hamish Hannah Hugo Imogen Ines Iris Jamal Joan Joseph Kavita Keith Kwame Laila"
        " Leonard Lorna Maeve Malcolm Marcus Maya Miriam Nadia Neil Niamh Nora Oluwaseun Oscar Padraig Pearl Philippa Priya Rajesh Renée"
        " Rhian Roisín Rosalind Rupert Sanjay Selma Shona Simon Tamsin Teresa Thaddeus Una Verity Wesley Winifred Yusuf Zadie",
        "Abara Adeyemi Ashdown Baptiste Barlow Begum Birdsall Brannigan Buckle Byrne Calloway Chaudhry Clegg Considine Crabtree Cullinane"
        " Dacosta Danvers Dhillon Donoghue Eastwood Ellery Fairclough Farrant Finnegan Foulkes Gallivan Garside Gill Greaves Haddow Hallam"
        " Hartigan Hebden Hussain Idowu Inchbald Jagger Jessop Kaur Keogh Kitching Lacey Lavelle Lockwood MacBride Mahoney Marchbanks"
        " Mensah Mistry Moynihan Nettleton Nwosu O'Dowd Okafor Osgood Padgett Patel Pemberton Penrose Quigley Quinlan Rafferty Ramsbottom"
        " Redfern Rooney Sandhu Satterley Sheehan Skelton Stobart Tamworth Thwaite Tierney Underhill Varley Vaughan Wadsworth Whelan"
        " Wickham Yardley Zeller",
    ),
    "de": (
        "Anke Bernd Dörte Frieda Gerhard Jörg Katrin Matthias Sönke Ulrike",
        "Achterberg Brückner Dreyer Grünewald Hölzl Kästner Lütjens Pohlmann Schäfer Vogelsang",
    ),
    "fr": (
        "Agnès Benoît Chloé Étienne Hélène Jérôme Lucie Mathilde Noëlle Thibault",
        "Beaufils Chastain Delorme Fauvel Gauthier Lebègue Marchais Périer Roussel Vasseur",
    ),
    "es": (
        "Álvaro Beatriz Concepción Elena Iñaki Joaquín Lucía Nuria Ramón Sofía",
        "Arroyo Benítez Castaño Domínguez Echeverría Lozano Muñoz Peñalver Quintana Zúñiga",
    ),
    "pl": (
        "Agnieszka Bogdan Czesław Elżbieta Grażyna Jakub Łukasz Małgorzata Paweł Zofia",
        "Borkowska Cieślak Dąbek Gołąb Jastrzębska Kołodziej Michalak Piątek Sikora Wróbel",
    ),
}
_CLOSINGS: Mapping[str, tuple[str, ...]] = {
    "en": ("Kind regards", "Best wishes", "Many thanks", "Yours", "Cheers"),
    "de": ("Mit freundlichen Grüßen", "Viele Grüße"),
    "fr": ("Cordialement", "Bien à vous"),
    "es": ("Un saludo", "Saludos cordiales"),
    "pl": ("Pozdrawiam", "Z poważaniem"),
}
_DOMAINS = ("example.org", "example.com", "example.net")
# How many customers wrote one message, two, …, six.
_SIZES = (0.45, 0.28, 0.14, 0.07, 0.04, 0.02)
_FIRST_NUMBER = 1000
_SECOND_ACCOUNT = 4000


@dataclass(frozen=True)
class Customer:
    """Somebody who does not exist, with a phone number and an address kept free for such people."""

    id: str
    name: str
    email: str
    phone: str
    signature: str

    def second_account(self) -> str:
        """The number of the other account under which the same person sometimes writes."""
        return f"C-{int(self.id.removeprefix('C-')) + _SECOND_ACCOUNT}"


def customers_of(messages: Sequence[Clean], seed: int) -> dict[str, Customer]:
    """Who wrote each message, by the message's id: one to six messages a person, all in one language.

    No two messages in a row of one person have the same intent, as long as there are others left.
    """
    shares: list[tuple[str, int, list[Clean]]] = []
    for lang in _NAMES:
        own = [message for message in messages if message.lang == lang]
        waiting = [own[i] for i in permutation(len(own), seed, "who wrote", lang)]
        n_customers = 0
        while waiting:
            size = _size(unit(seed, "messages of a customer", lang, n_customers))
            shares.append((lang, n_customers, _taken(waiting, size)))
            n_customers += 1
    assert sum(len(some) for _, _, some in shares) == len(messages), "every language of the messages has names"
    numbers = permutation(len(shares), seed, "numbers of customers")
    writers: dict[str, Customer] = {}
    for number, (lang, i, some) in zip(numbers, shares, strict=True):
        customer = _invented(int(number), lang, i, seed)
        writers |= {message.id: customer for message in some}
    return writers


def _size(draw: float) -> int:
    for n, share in enumerate(_SIZES, start=1):
        draw -= share
        if draw < 0:
            return n
    return len(_SIZES)


def _taken(waiting: list[Clean], size: int) -> list[Clean]:
    """The next messages of the queue for one person, taken out of it."""
    taken = [waiting.pop(0)]
    while waiting and len(taken) < size:
        other = next((i for i, message in enumerate(waiting) if message.intent != taken[-1].intent), 0)
        taken.append(waiting.pop(other))
    return taken


def _invented(number: int, lang: str, i: int, seed: int) -> Customer:
    """The i-th customer of a language; names of one language do not repeat before all have been used."""
    first, last = (names.split() for names in _NAMES[lang])
    pair = int(permutation(len(first) * len(last), seed, "names", lang)[i % (len(first) * len(last))])
    forename, surname = first[pair // len(last)], last[pair % len(last)]
    name = f"{forename} {surname}"
    draw = seed_of(seed, "customer", lang, i)
    email = f"{_plain(forename)}.{_plain(surname)}@{_DOMAINS[draw % len(_DOMAINS)]}"
    phone = f"555-01{draw // 3 % 100:02d}" if draw // 300 % 5 == 0 else f"01632 960{draw // 1500 % 1000:03d}"
    closings = _CLOSINGS[lang]
    closing = closings[draw // 1_500_000 % len(closings)]
    styles = (
        f"{closing},\n{name}\n{phone}",
        f"{closing}\n{name}",
        f"--\n{name}\n{email} | {phone}",
        f"{closing},\n\n{name}\nTel. {phone}\n{email}",
        f"--\n{name} · {phone}",
        f"{name}\n{email}",
    )
    return Customer(f"C-{_FIRST_NUMBER + number}", name, email, phone, styles[draw // 15_000_000 % len(styles)])


def _plain(name: str) -> str:
    """A name in the letters of an address."""
    folded = unicodedata.normalize("NFKD", name.lower().replace("ł", "l"))
    return "".join(letter for letter in folded if "a" <= letter <= "z")
