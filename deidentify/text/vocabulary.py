"""The word lists of this package as sets: what is safe in a descriptor, what is a name too, what leads to a name.

All are compared by `deidentify.spelling.bare`. How they are used is `deidentify.text.cleaner`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from pydicom.sr._concepts_dict import concepts

from deidentify.spelling import WORDS, bare


@cache
def listed(name: str) -> frozenset[str]:
    """Return the words of a list beside this module; lines that start with ``#`` are not part of it."""
    text = files(__package__).joinpath(name).read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _of(words: str) -> frozenset[str]:
    return frozenset(map(bare, words.split()))


@cache
def safe() -> frozenset[str]:
    """Return the words that may stay in any text."""
    return listed("vocabulary.txt")


@cache
def technical() -> frozenset[str]:
    """Return the words that may stay in technical values besides."""
    return frozenset(bare(part) for word in listed("technical.txt") for part in word.split("-")) | listed("terms.txt")


@cache
def products() -> frozenset[str]:
    """Return whole values that programs write about themselves."""
    lines = files(__package__).joinpath("products.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@cache
def phrases() -> frozenset[str]:
    """Return the code meanings of several words that pydicom knows, in the form that `phrase` makes."""
    schemes: Any = concepts
    meanings = {meaning for codes in schemes.values() for found in codes.values() for meaning, _ in found.values()}
    return frozenset(phrase(meaning) for meaning in meanings if " " in meaning)


def phrase(text: str) -> str:
    """Return the words of a text in the form in which phrases are compared."""
    return " ".join(WORDS.findall(bare(text)))


@cache
def names() -> frozenset[str]:
    """Return words that are also somebody's name."""
    return frozenset(map(bare, listed("names.txt")))


# Before a name, whatever follows. "Mr", "Ms" and "Dr" are also modalities and diseases when written in capitals.
TITLES = _of(
    "prof professor herr frau mrs mister madame monsieur mme mlle docteur doktor dott dottor dottoressa dottssa signor "
    "signora señor señora señorita doña dra mevr mevrouw dhr sir lady priv doz pd dipl"
)
TITLES_UNLESS_CAPITALS = _of("dr mr ms miss sr sra sig don fr hr mw")
# After a name.
DEGREES = _of("md phd do frcr facr mbbs mbchb rn rtr msc bsc dvm pa-c np")
# Before a name when a colon follows.
NAME_LABELS = _of(
    "patient pat patientin patiente paciente paziente patiënt name names nom nombre nome naam nachname vorname prénom surname "
    "forename firstname lastname ref refby refphys referring referrer physician phys doctor arzt ärztin zuweiser überweiser "
    "médecin medico médico arts operator op tech technologist technician mtra mta radiologist radiologe radiologue "
    "radiólogo reader reporter author requestor requester consultant attending resident nurse attn attention cc signed "
    "signature dictated read performed reported reviewed approved verified interpreted transcribed requested ordered by "
    "von par por da door durch contact kontakt mother father mutter vater spouse guardian next kin subject wife husband son "
    "daughter brother sister ehefrau ehemann sohn tochter"
)
# Between a title or a label and the name.
TITLE_PARTS = _of("med rer nat phil habil dent univ vet ing")
LABEL_PARTS = _of("of is was")
# Before a number or a place that tells who or where, with or without a colon.
LABELS = _of(
    "mrn id ids pid patid patientid patnr pat pnr acc accession accno accnr acct account ssn nhs nhsno hn mr# ipp nip nir "
    "bsn cpf dni nif nie ahv svnr svn kvnr medicare medicaid insurance policy case caseno fall fallnr fallnummer "
    "aufnahmenr order orderno auftrag auftragsnr auftragsnummer request room rm zimmer bed bett ward station stn dept "
    "tel telephone telefon téléphone teléfono phone ph fon mobil handy cell fax ext mail email dob dod born geb geboren "
    "geburtsdatum né née nacido nato geboortedatum nr no num number nummer numéro número dossier episode visit "
    "encounter csn fin hospital clinic klinik hôpital ospedale zip plz postcode barcode chart record file badge license lic "
    "patient patientin subject subj proband volunteer participant"
)
# Behind a name these are rather what was examined, although somebody may be called so.
EXAMINED = _of(
    "head chest lung heart arm hand foot bone knee leg neck back brain spine skull hip finger thumb toe shin cheek chin eye "
    "breast body abdomen colon nerve vein ct mr pet kopf hals brust herz fuss knie arm bauch hand cou bras main pied mano "
    "cabeza testa post long short axial left right upper lower low full whole scan view phase thin hard soft"
)
# Words that mean nothing when what they lead to is gone.
GLUE = _of(
    "a an and or of the to for from at by in on per via as is was are were be has had de du des la le les un une et ou à au "
    "aux pour par y o del el los las por para e di il lo gli della dello da al alla und oder der die das dem den von vom zu "
    "zum zur bei im am auf für durch van het een of bij op voor naar door aan s d l date dated time on"
)
# Beside the name of a place they are part of it.
INSTITUTIONS = _of(
    "hospital hospitals clinic clinics klinik klinikum krankenhaus spital praxis centre center zentrum university universität "
    "institute institut foundation trust st saint san santa street str strasse straße avenue ave road rd lane square "
    "hôpital clinique centro ospedale clínica ziekenhuis department dept abteilung service praxisklinik county city"
)
# Behind the name of a street, or at its end.
STREETS = _of("street str strasse straße straat avenue ave road rd boulevard blvd")
STREET_ENDS = ("str", "strasse", "straat", "gasse", "weg", "allee", "platz")
PARTICLES = _of("von van de der den ter ten del della di da dos du la le el al bin ibn ben st saint zu zum y e")
