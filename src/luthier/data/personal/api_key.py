"""Keys and tokens that show by their shape whose they are."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.data.personal.finding import RUN, Certainty, Finding
from luthier.data.personal.randomness import bits_per_character, is_example, looks_random

# What, and the shape; those whose beginning is a word too need a random rest. From the issuers' documentation.
_SHAPES: tuple[tuple[str, str], ...] = (
    ("AWS access key id", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    ("GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("GitLab token", r"gl(?:pat|dt|ptt|rt|soat|cbt|ft|imt|agent)-[A-Za-z0-9_.=-]{20,300}"),
    ("Slack token", r"xox[abeoprs]-(?:\d+-)*[A-Za-z0-9-]{10,250}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+"),
    ("Slack webhook", r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,12}/[AB][A-Z0-9]{6,12}/[A-Za-z0-9]{16,48}"),
    ("Discord webhook", r"discord(?:app)?\.com/api/webhooks/\d{16,20}/[\w-]{60,80}"),
    ("Stripe key", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9]{32,64}"),
    ("Google API key", r"AIza[\w-]{35}"),
    ("Google OAuth", r"ya29\.[\w-]{30,300}|GOCSPX-[\w-]{28}"),
    ("Anthropic key", r"sk-ant-(?:api|admin|sid)\d\d-[\w-]{40,120}"),
    ("OpenAI key", r"sk-(?:proj|svcacct|admin|None)-[\w-]{20,250}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("key beginning with sk-", r"sk-(?:[a-z]{2,12}-)?[A-Za-z0-9]{32,128}"),
    ("Hugging Face token", r"(?:hf|api_org)_[A-Za-z]{34}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,300}"),
    ("SendGrid key", r"SG\.[\w-]{20,24}\.[\w-]{39,50}"),
    ("Twilio key", r"(?:SK|AC)[0-9a-f]{32}"),
    ("Mailgun key", r"key-[0-9a-f]{32}"),
    ("Mailchimp key", r"[0-9a-f]{32}-us\d{1,2}"),
    ("DigitalOcean token", r"do[opr]_v1_[0-9a-f]{64}"),
    ("Shopify token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("Square token", r"(?:EAAA|sq0(?:atp|csp)-)[\w-]{22,60}"),
    ("Databricks token", r"dapi[0-9a-f]{32}(?:-\d)?"),
    ("Telegram bot token", r"\d{8,10}:AA[\w-]{33}"),
    ("Azure storage key", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("Linear key", r"lin_api_[A-Za-z0-9]{40}"),
    ("Notion token", r"(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,60})"),
    ("Doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,60}"),
    ("Grafana token", r"gl(?:c|sa)_[A-Za-z0-9_+/]{32,400}={0,2}"),
    ("Vault token", r"hv[sbr]\.[\w-]{24,300}"),
    ("age key", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
)
_ANY = re.compile(
    "(?<![A-Za-z0-9])(?:" + "|".join(f"(?P<k{number}>{shape})" for number, (_, shape) in enumerate(_SHAPES)) + ")(?![A-Za-z0-9])"
)
_BEGINNINGS = re.compile(
    r"AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl(?:pat|dt|ptt|rt|soat|cbt|ft|imt|agent)-|xox[abeoprs]-|xapp-|hooks\.slack|/webhooks/|"
    r"[srp]k_(?:live|test)_|whsec_|AIza|ya29\.|GOCSPX-|sk-|hf_|api_org_|npm_|pypi-AgE|SG\.|SK[0-9a-f]|AC[0-9a-f]|key-[0-9a-f]|-us\d|"
    r"do[opr]_v1_|shp(?:at|ca|pa|ss)_|EAAA|sq0|dapi|:AA|AccountKey=|lin_api_|secret_|ntn_|dp\.|gl(?:c|sa)_|hv[sbr]\.|AGE-SECRET"
)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{10,2000})\.(eyJ[A-Za-z0-9_-]{4,8000})\.([A-Za-z0-9_-]{16,1400})?(?![A-Za-z0-9_-])")
_MUST_BE_RANDOM = frozenset(
    {"key beginning with sk-", "Twilio key", "Square token", "Grafana token", "Vault token", "Doppler token", "GitLab token"}
)
_PUBLIC = re.compile(r"pk_(?:live|test)_")


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """Keys of some thirty services, and signed tokens (JWT) whose head is JSON.

    Certain by its shape; possible where it says itself that it is an example, is for tests, or is made to be public.
    """

    kind: Literal["api_key"] = "api_key"
    signs: ClassVar[int] = RUN

    def find(self, text: str) -> Iterator[Finding]:
        """Each key in the text."""
        if any(len(word) >= 16 and _BEGINNINGS.search(word) for word in text.split()):
            for match in _ANY.finditer(text):
                what = _SHAPES[int((match.lastgroup or "k0")[1:])][0]
                if what not in _MUST_BE_RANDOM or looks_random(match[0].rpartition("_")[2], 3.0):
                    yield Finding(self.kind, match.start(), match.end(), _certainty(match[0]), what)
        if "eyJ" in text:
            for match in _JWT.finditer(text):
                if _is_json(match[1]):
                    yield Finding(self.kind, match.start(), match.end(), "certain", "JSON web token")


def _certainty(key: str) -> Certainty:
    if is_example(key.replace("_test_", "_")) or _PUBLIC.match(key) or bits_per_character(key) < 2.5:
        return "possible"
    return "likely" if "_test_" in key else "certain"


def _is_json(head: str) -> bool:
    """Whether the first part of a token is what the standard (RFC 7519) says: JSON with an algorithm."""
    try:
        found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(found, dict) and ("alg" in found or "typ" in found)
