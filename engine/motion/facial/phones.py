"""The phones the lip branch is taught with: ARPAbet without stress, silence first."""

from __future__ import annotations

SILENCE = "SIL"
BILABIAL = ("P", "B", "M")
LABIODENTAL = ("F", "V")
OPEN_VOWELS = ("AA", "AE", "AO", "AY", "AW", "AH", "EH")
ROUNDED = ("W", "UW", "OW")
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_STOPS_AND_NASALS = ("B", "CH", "D", "G", "JH", "K", "M", "N", "NG", "P", "T")
_OTHERS = ("DH", "F", "HH", "L", "R", "S", "SH", "TH", "V", "W", "Y", "Z", "ZH")

PHONES: tuple[str, ...] = (SILENCE, *sorted(VOWELS + _STOPS_AND_NASALS + _OTHERS))
INDEX: dict[str, int] = {phone: i for i, phone in enumerate(PHONES)}

# Other spellings: flite's and pocketsphinx's noises and reductions, then the IPA of hand-made alignments.
_ALIASES: dict[str, str] = {
    **dict.fromkeys(
        ("PAU", "SP", "", "SPN", "+SPN+", "+NSN+", "<SIL>", "SSIL", "BRTH", "SILENCE", "<EPS>", "#", "H#"), SILENCE
    ),
    **{"AX": "AH", "AXR": "ER", "IX": "IH", "EL": "L", "EM": "M", "EN": "N", "DX": "D", "NX": "N", "UX": "UW"},
    **{"HV": "HH", "ENG": "NG", "PT": "T"},
    **{"Ə": "AH", "Ʌ": "AH", "ɐ": "AH", "ɑ": "AA", "ɒ": "AA", "æ": "AE", "Æ": "AE", "ɔ": "AO", "ɛ": "EH", "e": "EH"},
    **{"ɝ": "ER", "ɚ": "ER", "ɜ": "ER", "ɪ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "o": "OW", "a": "AA"},
    **{"aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW", "ɔɪ": "OY", "p": "P", "b": "B", "m": "M", "ɹ": "R", "r": "R"},
    **{"aj": "AY", "aw": "AW", "ej": "EY", "ow": "OW", "tʲ": "T", "œ": "ER"},
    **{"ʃ": "SH", "ʒ": "ZH", "tʃ": "CH", "dʒ": "JH", "θ": "TH", "ð": "DH", "ŋ": "NG", "h": "HH", "j": "Y", "ɾ": "D"},
    **{
        "ə": "AH",
        "ʌ": "AH",
        "aj": "AY",
        "aw": "AW",
        "ej": "EY",
        "ow": "OW",
        "tʲ": "T",
        "ɡ": "G",
        "g": "G",
        "ɫ": "L",
        "l": "L",
        "ʔ": "T",
    },
}


def normalise(name: str) -> str:
    """The phone of `PHONES` a label means: "ah0" -> "AH", "pau" -> "SIL". An unknown label counts as "AH"."""
    name = name.strip().rstrip("ː").rstrip("012_")
    for candidate in (_ALIASES.get(name), _ALIASES.get(name.upper()), name.upper()):
        if candidate in INDEX:
            return candidate
    return "AH"
