"""What mail programs and habits add to a message: earlier messages, signatures, notices of confidentiality.

All works on lines, and looks at each line a constant number of times. Marks that could be a person's own words (a line that
says who wrote, a name at the end) count only in the company that they keep in real mail.
"""

from __future__ import annotations

import re
from typing import TypeAlias

# "On 3 May 2025, Ann wrote:" as mail programs have it; between its words stand a date and a name, on up to three lines.
_WROTE = re.compile(
    r"(?:on\b.{4,300}\b(?:wrote|writes)|am\b.{4,300}\bschrieb\b.{0,200}|le\b.{4,300}\ba écrit|el\b.{4,300}\bescribió"
    r"|em\b.{4,300}\bescreveu|il\b.{4,300}\bha scritto|op\b.{4,300}\bschreef\b.{0,200}"
    r"|(?:w dniu|dnia)\b.{4,300}\bnapisał(?:a|\(a\)|i|y)?|den\b.{4,300}\bskr(?:e|ei)v\b.{0,200}"
    r"|dne\b.{4,300}\bnapsala?|.{4,300}\bkirjoitti|.{4,300}\b(?:на)?писала?(?:\(а\))?"
    r"|.{4,300}\byazdı|.{4,300}\bírta|.{4,300}(?:写道|寫道)|.{4,300}のメール)\s*[:：]",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"[-_ ]*(?:original message|urspr(?:ü|ue)ngliche (?:nachricht|e-mail)|message d['’]origine|mensaje original|mensagem original"
    r"|messaggio originale|oorspronkelijk bericht|wiadomość oryginalna|originalmeddelande|исходное сообщение|原始邮件|原始郵件)[-_ ]*",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"[*\s]*(from|sent|to|cc|date|subject|von|gesendet|an|betreff|datum|de|envoyé|à|objet|enviado(?: el)?|para|asunto|assunto|da|inviato"
    r"|a|oggetto|van|verzonden|aan|onderwerp|od|wysłano|do|temat|от|отправлено|кому|тема|发件人|发送时间|收件人|主题"
    r"|差出人|送信日時|宛先|件名)[*\s]*[:：]",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"(?:subject|betreff|objet|asunto|assunto|oggetto|onderwerp|temat|тема)[*\s]*[:：]\s*(?:fwd?|wg|tr|rv|i|enc)\s*[:：]", re.IGNORECASE
)
_THING = r"[\w'’ .-]{2,40}"
_DEVICE = re.compile(
    rf"[\s(>]*(?:sent (?:from|via|with|using) {_THING}|get outlook for [\w ]{{2,20}}|(?:von|mit) mein\w{{0,2}} {_THING} gesendet"
    rf"|diese nachricht wurde von mein\w{{1,2}} {_THING} gesendet|envoyé (?:de(?:puis)? )?(?:mon |ma ){_THING}|enviado desde mi {_THING}"
    rf"|enviado do meu {_THING}|inviato d?al? (?:mio )?{_THING}|verzonden vana?f? mijn {_THING}|wysłane z {_THING}"
    rf"|skickat från min {_THING}|отправлено с {_THING}|发自我的{_THING}|發自我的{_THING}|{_THING}から送信)[\s.)]*",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:(?:best|kind(?:est)?|warm(?:est)?|many|with (?:best|kind|warm)) )?(?:regards|wishes)|(?:kind |many )?thanks(?: again"
    r"| (?:so|very) much| (?:and|&) (?:best |kind )?regards| in advance)?|thank you(?: (?:so|very) much| in advance)?|all the best"
    r"|(?:best|br|lg|vg)(?=\s*,)|cheers|yours(?: (?:sincerely|faithfully|truly))?|sincerely(?: yours)?|respectfully|rgds"
    r"|mit (?:freundlichen|besten|lieben|herzlichen) gr(?:ü|ue)(?:ß|ss)en|(?:viele|liebe|beste|herzliche|freundliche|sch(?:ö|oe)ne)"
    r" gr(?:ü|ue)(?:ß|ss)e|mfg|(?:bien )?cordialement|bien à vous|(?:(?:sincères|meilleures) )?salutations|amicalement"
    r"|saludos(?: cordiales)?|(?:un )?(?:cordial )?saludo|atentamente|atenciosamente|abraços?|(?:cordiali |distinti )?saluti"
    r"|met vriendelijke groet(?:en)?|groet(?:en|jes)?"
    r"|pozdrawiam(?: serdecznie)?|z poważaniem|(?:med )?vänliga hälsningar|mvh|с уважением|此致|谢谢|よろしくお願いします)"
    r"[\s,.!~—–-]*",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}|https?://|\bwww\.|(?:\+|\(|\b)\d[\d\s()./-]{5,18}\d\b"
    r"|\b(?:tel|phone|mobile|mob|fax|cell)\b",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    r"intended (?:solely|only|exclusively) for|not the intended (?:recipient|addressee)|consider the environment before printing"
    r"|this (?:e-?mail|message|communication)(?: \w+){0,6} (?:is|are|may be|contain\w*)\b.{0,40}(?:confidential|privileged)"
    r"|(?:originated|came) from outside (?:of )?(?:the|your|our) organi[sz]ation|enth(?:ä|ae)lt vertrauliche"
    r"|nicht der (?:richtige|beabsichtigte) (?:adressat|empf(?:ä|ae)nger)|pi(?:è|e)ces? jointes? .{0,60}confidentiel"
    r"|n['’](?:ê|e)tes pas le destinataire|(?:archivos|ficheros) adjuntos .{0,60}confidencial|si (?:usted )?no es el destinatario"
    r"|questo messaggio .{0,80}riservat|ta wiadomość .{0,80}poufn",
    re.IGNORECASE,
)
_DELIMITER = re.compile(r"(?:--|—|–)[ \t]*")
_RULE = re.compile(r"[-_*=]{3,}[ \t]*")
_PARTICLES = frozenset(("al", "bin", "da", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "la", "le", "of", "van", "von", "y"))
_SAYS = re.compile(r"[^\W_]")
_DATE = re.compile(r"\d|@")
_LONGEST_LINE, _MOST_LINES, _MOST_TIMES = 80, 10, 3

Lines: TypeAlias = list[str]


def without_debris(text: str, quotes: bool, signatures: bool, notices: bool) -> str:
    """The message by itself, without earlier messages, signatures and notices as asked; as it is if nothing would be left."""
    lines = _begun(text.split("\n"))
    for _ in range(_MOST_TIMES):
        left = _begun(_without_quotes(lines) if quotes else lines)
        left = left[: _end(left, signatures, notices)]
        if left == lines:
            break
        lines = left
    else:
        return text
    if not _says_something(lines) or _said(lines) == _said(text.split("\n")):
        return text
    return "\n".join(lines).rstrip()


def _begun(lines: Lines) -> Lines:
    """The lines from the first that is not blank, so that a blank one above a text changes nothing of what is found in it."""
    return lines[next((i for i, line in enumerate(lines) if line.strip()), len(lines)) :]


def _said(lines: Lines) -> Lines:
    return [line for line in lines if line.strip()]


def _says_something(lines: Lines) -> bool:
    return any(_SAYS.search(line) for line in lines)


def _without_quotes(lines: Lines) -> Lines:
    """The lines without the earlier messages among them."""
    kept: Lines = []
    says = False
    i = 0
    while i < len(lines):
        if _is_quoted(lines[i]):
            i += 1
            continue
        n_wrote = _who_wrote(lines, i)
        if n_wrote:
            after = next((at for at in range(i + n_wrote, min(i + n_wrote + 3, len(lines))) if lines[at].strip()), None)
            if after is not None and _is_quoted(lines[after]):
                i = after
                continue
        if n_wrote or _begins_original(lines, i):
            # With nothing said before it, the earlier message is all that there is.
            return kept if says else [*kept, *lines[i:]]
        says = says or bool(_SAYS.search(lines[i]))
        kept.append(lines[i])
        i += 1
    return kept


def _is_quoted(line: str) -> bool:
    """Whether the line quotes with `>`; the prompt of a Python session, and an operator, do not."""
    line = line.lstrip()
    return line.startswith(">") and not line.startswith((">>> ", ">=", ">>="))


def _who_wrote(lines: Lines, i: int) -> int:
    """How many lines from `i` on say who wrote and when; 0 if they do not."""
    joined = ""
    for n, line in enumerate(lines[i : i + 3], 1):
        if not line.strip() or len(line) > 300:
            return 0
        joined = f"{joined} {line.strip()}".lstrip()
        if joined.endswith((":", "：")):
            if not (_WROTE.fullmatch(joined) and _DATE.search(joined)):
                return 0
            # Where the languages differ in what they begin with, a line before it must not be taken in.
            return n if n == 1 or not _who_wrote(lines, i + 1) else 0
    return 0


def _begins_original(lines: Lines, i: int) -> bool:
    """Whether the original of a reply begins here: by its title, or by three lines of its head; what is forwarded is no debris."""
    if len(lines[i]) > 300 or not (_ORIGINAL.fullmatch(lines[i].strip()) or _HEADER.match(lines[i])):
        return False
    head = [line[:300] for line in lines[i : i + 8]]
    if any(_FORWARDED.match(line.strip("* ")) for line in head):
        return False
    names = {found[1].lower() for line in head[:5] if (found := _HEADER.match(line))}
    return len(names) >= (1 if _ORIGINAL.fullmatch(lines[i].strip()) else 3)


def _end(lines: Lines, signatures: bool, notices: bool) -> int:
    """How many lines are left without the notices, device lines, contacts and closings at the end, taken off one after another."""
    first = next((i for i, line in enumerate(lines) if _SAYS.search(line)), len(lines))
    end = len(lines)
    while True:
        while end and not lines[end - 1].strip():
            end -= 1
        base = max(0, end - _MOST_LINES - 2)
        cut = _tail(lines[base:end], signatures, notices)
        if cut is None or base + cut <= first:
            return end
        end = base + cut


def _tail(lines: Lines, signatures: bool, notices: bool) -> int | None:
    """Where the last piece of debris begins; None if the last lines are the message's own."""
    if not lines:
        return None
    start = max((i + 1 for i, line in enumerate(lines) if not line.strip()), default=None)
    if notices and start is not None and any(_NOTICE.search(line[:2000]) for line in lines[start:]):
        return start
    if not signatures:
        return None
    if len(lines[-1]) <= _LONGEST_LINE and _DEVICE.fullmatch(lines[-1]):
        return len(lines) - 1
    return min((cut for cut in (_delimited(lines), _closing(lines), _contacts(lines, start)) if cut is not None), default=None)


def _delimited(lines: Lines) -> int | None:
    """Where the line of dashes stands that RFC 3676 (section 4.3) has before a signature; longer rules need a way to reach somebody."""
    for i in range(len(lines) - 1, -1, -1):
        if len(lines[i]) > _LONGEST_LINE:
            return None
        if _DELIMITER.fullmatch(lines[i]) or (_RULE.fullmatch(lines[i]) and any(_CONTACT.search(line) for line in lines[i + 1 :])):
            return i
    return None


def _closing(lines: Lines) -> int | None:
    """Where the words stand that a letter closes with, and then nothing, or a name and perhaps a few lines more."""
    for i, line in enumerate(lines):
        if len(line) <= _LONGEST_LINE and _CLOSING.fullmatch(line.strip()):
            said = _said(lines[i + 1 :])
            if not said or (_is_name(said[0]) and all(_is_of_card(one) for one in said[1:])):
                return i
    return None


def _contacts(lines: Lines, start: int | None) -> int | None:
    """Where the last paragraph begins, if it is a name and how to reach its bearer, and nothing led to it with a colon."""
    if start is None or len(lines) - start < 2:
        return None
    before = _said(lines[:start])
    if (before and before[-1].rstrip().endswith((":", "："))) or not any(_CONTACT.search(line) for line in lines[start + 1 :]):
        return None
    return start if _is_name(lines[start]) and all(_is_of_card(line) for line in lines[start + 1 :]) else None


def _is_name(line: str) -> bool:
    """Whether a line may be somebody's name, and what the company is called."""
    words = re.split(r"[\s|·•,/]+", line.strip())
    if len(line) > _LONGEST_LINE or len(words) > 6 or line.rstrip().endswith((".", "?", "!", ":", "。", "？", "！")):
        return bool(_CONTACT.search(line)) and len(line) <= _LONGEST_LINE
    return all(not word[:1].islower() or word in _PARTICLES or _CONTACT.search(word) for word in words)


def _is_of_card(line: str) -> bool:
    """Whether a line may stand on a visiting card: a way to reach somebody, or a few words that are no sentence."""
    if len(line) > _LONGEST_LINE or line.rstrip().endswith(("?", "!", ":", "？", "！")):
        return False
    return bool(_CONTACT.search(line)) or (len(line.split()) <= 6 and not line.rstrip().endswith((".", "。")))
