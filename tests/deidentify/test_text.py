"""Cleaned texts keep what describes the examination, and lose everything that could tell whose it is."""

import pytest

from deidentify.dates import Shift
from deidentify.dictionary import TAGS
from deidentify.known import Known
from deidentify.recipe.policies import TextPolicy
from deidentify.spelling import bare
from deidentify.text import TextCleaner, generate, vocabulary

CLEANER = TextCleaner(TextPolicy())
NOBODY = Known.of([], b"")
SHIFT = Shift(-100, 4000)


def known(**values: str) -> Known:
    return Known.of([(TAGS[keyword], value.encode()) for keyword, value in values.items()], b"ISO_IR 192")


def cleaned(text: str, **values: str) -> str:
    return CLEANER.cleaned(text, known(**values))


@pytest.mark.parametrize("text", [
    "CT ABDOMEN WITH CONTRAST",
    "t2_tse_tra_p2",
    "ep2d_diff_3scan_trace_p2_ADC",
    "tfl3d1_ns",
    "AX T1 FLAIR POST GD 3mm",
    "Thorax^1_THORAX_ROUTINE (Adult)",
    "Head 5.0 H31s",
    "Topogram 0.6 T20s",
    "<MIP Range[1]>",
    "b1000 TE 30 TR 4500 T2* 3.0T 120kV 2D/3D +C L/R 1:2 20%",
    "SpinalCord Parotid_L PTV70",
    "SAG T2 C-SPINE L4/L5",
    "ABD/PEL W/O & W/CONTRAST",
    "256x192 FOV 240",
    "DYN 1/5, 0.625mm",
    "MR Schädel nativ + KM",
    "Thorax p.a. im Stehen",
    "LWS seitlich, Übersicht",
    "IRM crâne sans injection",
    "TC torace con mezzo di contrasto",
    "RM rodilla derecha sin contraste",
    "CT hersenen zonder contrast",
    "胸部単純",
    "DR HAND",
    "MR HEAD",
    "MS protocol",
    "ISOVUE300/100",
    "11 ml Omniscan",
    "JPEG 2000 irreversible (lossy)",
    "45 y male",
    "3 mm L R", "A/P 2 mm", "SLAB 12 3 mm",
])  # fmt: skip
def test_what_describes_the_examination_stays_as_it_is(text: str) -> None:
    assert CLEANER.cleaned(text, NOBODY) == text


@pytest.mark.parametrize(("text", "left"), [
    ("CT ABDOMEN WITH CONTRAST, Dr. Zylphrik 0171/2345678 MRN 4711", "CT ABDOMEN WITH CONTRAST"),
    ("CT (Zylphrik) ABDOMEN", "CT ABDOMEN"),
    ("CT, Zylphrik, ABDOMEN", "CT, ABDOMEN"),
    ("ABD/Zylphrik CONTRAST", "ABD CONTRAST"),
    ("t2_zylphrik_tra", "t2_tra"),
    ("CT ABDOMEN for Zylphrik", "CT ABDOMEN"),
    ("CT ABDOMEN of the Zylphrik clinic", "CT ABDOMEN"),
    ("CT knee\r\nSeen by J. R. Zylphrik\r\nright side", "CT knee\r\nSeen\r\nright side"),
    ("Dr. Zylphrik Head CT angiography", "Head CT angiography"),
    ("ref by Zylphrik LUNG SCREENING", "LUNG SCREENING"),
    ("born 13 Mar 1980 MR Brain without contrast", "MR Brain without contrast"),
    ("Zylphrik", ""),
    ("  ", ""),
    ("--", ""),
])  # fmt: skip
def test_the_rest_of_a_text_is_tidy(text: str, left: str) -> None:
    assert CLEANER.cleaned(text, NOBODY) == left


@pytest.mark.parametrize("planted", [
    "0171/2345678", "+49 171 234 56 78", "(555) 123-4567", "555.123.4567", "01 23 45 67 89", "023 4567890",
    "john@doe.example", "http://pacs.local/x?id=4711", "www.clinic.example/a", "10.1.2.3", "pacs.hospital.org",
    "1.2.826.0.1.3680043.8.498", "12345", "MRN 4711", "MRN: 4711", "Acc# A-12", "ID 77", "room 12", "case 99/7",
    "HN-448812", "A4/77-1234567", "1234-5678", "12,345,678", "12-34-56-78", "4711", "1987",
    "SW1A 1AA", "K1A 0B1", "1234 AB Zylphrik", "D-80331", "\\\\server\\share\\x", "C:\\data\\x.dcm", "/home/x/y.dcm",
    "10:15", "10:15:30", "3:15 pm", "3 PM", "10.15 Uhr", "14h30",
    "95 y/o", "095Y", "aged 101", "92-jährige",
    "2024-01-31", "31.01.2024", "31.01.24", "1/31/2024", "31/1/24", "20240131", "Jan 31 2024", "January 31st, 2024",
    "31. Januar 2024", "31 janvier 2024", "31 de enero de 2024", "31-JAN-2024", "31JAN2024", "2024 Jan 31", "31 Jan",
    "01/2024", "2024-01", "March 2024", "31.01.", "2024年1月31日", "20240131101530",
    "Zylphrik", "ZYLPHRIK^QORBA", "Prof. Hand", "Dr Young", "Dr. A. Long", "Frau Kurz", "Herr Prof. Dr. Groß",
    "by J. Hand", "Young, MD", "Patient: Hand Chest", "Ref: Long", "Physician: White", "read by Black",
    "Σπύρος", "Иванов", "山田太郎", "김희중", "محمد", "יעקב",
    "Springfield", "St. Zylphrik Hospital", "St. Zylphrik's Hospital",
    "O'Zylphrik", "O’ZYLPHRIK", "D'Zylphrik", "Zylphrik's", "van der Zylphrik", "Zylphrik-Qorba", "Dr. med. Hand",
    "wife of Stern",
    "B R O W N", "B-r-o-w-n", "S.T.E.R.N.", "MRN 12 34 56", "patient 12", "Subject 0017", "proband: 7",
    "12 Main Street", "12 Zylphrik Road", "Zylphrikstr. 12", "Zylphrik Str. 12", "Zylphrikweg 3",
])  # fmt: skip
def test_what_could_tell_somebody_goes(planted: str) -> None:
    assert CLEANER.cleaned(planted, NOBODY) == ""
    for text in (f"CT THORAX {planted}", f"{planted}; CT THORAX", f"CT THORAX ({planted})"):
        assert CLEANER.cleaned(text, NOBODY).strip(" ;()") == "CT THORAX"


@pytest.mark.parametrize(("text", "left"), [
    ("CT 2024-06-09", "CT 2024-03-01"),
    ("CT 20240609", "CT 20240301"),
    ("CT 09.06.24", "CT 01.03.24"),
    ("CT 9.6.2024", "CT 1.3.2024"),
    ("CT 6/29/2024", "CT 3/21/2024"),
    ("CT 9 June 2024", "CT 1 Mar 2024"),
    ("CT of Jun 9, 2024, 10:15", "CT of 1 Mar 2024"),
    ("CT 9. Juni 2024", "CT 1 Mar 2024"),
    ("CT 2024年6月9日", "CT 2024年3月1日"),
    ("CT 06/2024", "CT"),
    ("CT 30.02.2024", "CT"),
])  # fmt: skip
def test_dates_in_a_text_move_with_the_patient(text: str, left: str) -> None:
    assert CLEANER.cleaned(text, NOBODY, SHIFT) == left


def test_no_date_in_a_text_is_moved_onto_a_date_of_birth() -> None:
    born = known(PatientBirthDate="20240301")
    assert CLEANER.cleaned("CT 2024-06-09", born, SHIFT) == "CT"
    assert CLEANER.cleaned("CT 2024-06-10", born, SHIFT) == "CT 2024-03-02"


@pytest.mark.parametrize(("name", "text", "left"), [
    ("Hand^Chest", "CT HAND AND CHEST", "CT"),
    ("Young^Rose", "young adult, MR knee", "adult, MR knee"),
    ("Long^Ida", "LONG AXIS", "AXIS"),
    ("Grünwald^Ottilie", "CT gruenwald grunwald GRÜNWALD OTTILIE", "CT"),
    ("Mueller^Kurt", "CT Müller Muller", "CT"),
    ("O'Brien^Ann", "CT O’Brien OBrien o-brien", "CT"),
    ("Hand^Kim", "CT H-A-N-D left", "CT left"),
    ("Handy^Kim", "CT HAN-DY left", "CT left"),
    ("van der Head^Jan", "CT HEAD", "CT"),
    ("Yamada^Tarou=胸部^太郎", "胸部 CT", "CT"),
    ("Hand^Chest", "ChestHand CT", "CT"),
    ("L^R", "CT knee L", "CT knee L"),
])  # fmt: skip
def test_the_patients_own_name_goes_even_when_it_is_a_word_of_descriptors(name: str, text: str, left: str) -> None:
    assert cleaned(text, PatientName=name) == left


@pytest.mark.parametrize(("identifier", "text", "left"), [
    ("123", "Series 123", "Series"),
    ("00471", "CT 471", "CT"),
    ("12-34", "CT 12 34", "CT"),
    ("T1W3", "AX t1w3", "AX"),
    ("1", "Series 1", "Series 1"),
    ("12", "Series 12", "Series 12"),
    ("A1", "CT A1", "CT A1"),
    ("HEAD7", "CT HEAD7", "CT"),
    ("120", "120kV", "120kV"),
    ("0047110", "CT 47-110 47110", "CT"),
    ("+49 531 3911234", "CT 391 1234", "CT"),
])  # fmt: skip
def test_known_numbers_go_and_short_ones_are_no_secret(identifier: str, text: str, left: str) -> None:
    assert cleaned(text, PatientID=identifier) == left


def test_names_of_others_go_but_not_the_words_that_operators_are_called_by() -> None:
    assert cleaned("CT HAND, Hand", ReferringPhysicianName="Hand^Zoltan") == "CT"
    assert cleaned("CT HEAD", OperatorsName="CT TECH") == "CT HEAD"
    assert cleaned("CT CHEST at Chest Hospital", InstitutionName="Chest Hospital") == "CT CHEST"
    assert cleaned("RADIOLOGY", InstitutionalDepartmentName="RADIOLOGY") == "RADIOLOGY"


def test_what_is_known_from_the_rest_of_the_study_goes_too() -> None:
    more = Known.of([], b"", [("PatientName", "Hand^Kim"), ("AccessionNumber", "777")])
    assert CLEANER.cleaned("CT HAND 777", more) == "CT"


@pytest.mark.parametrize("text", [
    "B30f", "Br40d\\3", "I30f", "STANDARD", "BONEPLUS", "FC51", "*fl3d1", "*tfl3d1_16ns", "SOMATOM Definition AS+",
    "LightSpeed VCT", "Achieva dStream", "iE33", "EPIQ 7C", "Aquilion ONE", "GE MEDICAL SYSTEMS", "Siemens Healthineers",
    "Philips Medical Systems, Inc.", "syngo MR E11", "VB17A", "4.0.701.0", "R5.4.1.2", "LightSpeedApps308I.2_H3.1M5",
    "HEA;HEP", "QD HEAD", "MRT50H1", "CX50_210", "MONOCHROME2", "YBR_FULL_422", "ISO_10918_1", "HFS", "FFDR", "A", "LPH",
    "DERIVED", "TRUE_COLOR", "HAS OBS CONTEXT", "+0100", "-0500", "LARGE BOWTIE FIL",
])  # fmt: skip
def test_names_of_devices_and_techniques_stay_in_technical_values(text: str) -> None:
    assert CLEANER.cleaned(text, NOBODY, technical=True) == text


def test_what_a_program_writes_about_itself_stays_as_a_whole_and_not_for_a_patient_of_that_name() -> None:
    text = "https://github.com/fedorov/dcmqi.git"
    assert CLEANER.cleaned(text, NOBODY, technical=True) == text
    assert "fedorov" not in CLEANER.cleaned("fedorov dcmqi", NOBODY, technical=True)
    assert "fedorov" not in CLEANER.cleaned(text, known(PatientName="Fedorov^Ivan"), technical=True)


@pytest.mark.parametrize(
    "text", ["Zylphrik", "Zylphrik2", "12345678", "SN7700123", "2010/06/30", "192.168.1.5", "x@y.zz"]
)
def test_technical_values_keep_no_unknown_word_and_no_long_number(text: str) -> None:
    assert CLEANER.cleaned(text, NOBODY, technical=True) == ""
    assert CLEANER.cleaned(f"Hand1 {text}", known(PatientName="Hand^Kim"), technical=True) == ""


def test_the_vocabulary_is_the_one_that_its_sources_make() -> None:
    assert generate.words() == vocabulary.safe(), "run `python -m deidentify.text.generate`"
    assert not vocabulary.safe() & vocabulary.listed("refused.txt") - own_words()


def own_words() -> set[str]:
    return {bare(word) for word in vocabulary.listed("own.txt") | vocabulary.listed("units.txt")}


def test_own_words_of_the_recipe_stay_and_go() -> None:
    cleaner = TextCleaner(TextPolicy(keep=("Zylphrik", "Protocol Qorb"), remove=("knee",)))
    assert cleaner.cleaned("ZYLPHRIK knee qorb CT", NOBODY) == "ZYLPHRIK qorb CT"
    assert cleaner.cleaned("zylphrik CT", known(PatientName="Zylphrik^Kim")) == "CT"


@pytest.mark.parametrize(
    "unit", ["(", "_", "-", "1", "1 ", "a", "1.", "+4", "@", "12-", "/a", "\n", "A.", "0 ", "[x", "Dr "]
)
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    CLEANER.cleaned(text, known(PatientName="Hand^Kim", PatientID="4711"), SHIFT)
    CLEANER.cleaned(f"CT {text} knee!", NOBODY)
