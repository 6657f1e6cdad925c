"""The table of before and after shows every element with the rule that acted on it."""

from pathlib import Path

from deidentify import Deidentifier, Identifiers
from deidentify.dictionary import TAGS
from tests.deidentify.objects import MINIMAL, Elements, encoded, part10


def test_each_element_is_shown_with_its_rule(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    item: Elements = {
        TAGS["ReferencedSOPClassUID"]: ("UI", "1.2.840.10008.5.1.4.1.1.2"),
        TAGS["ReferencedSOPInstanceUID"]: ("UI", "1.2.826.0.1.3.4.5"),
    }
    elements: Elements = {
        TAGS["Modality"]: ("CS", "CT"),
        TAGS["PatientName"]: ("PN", "Grunwald^Ottilie"),
        TAGS["PatientBirthDate"]: ("DA", "19370412"),
        TAGS["PatientAddress"]: ("LO", "Elm Street 5"),
        TAGS["ReferencedImageSequence"]: ("SQ", [item]),
        TAGS["OtherPatientIDsSequence"]: ("SQ", [{TAGS["PatientID"]: ("LO", "other")}]),
        TAGS["ManufacturerModelName"]: ("LO", "M" * 64),
        0x00090010: ("LO", "VENDOR"),
        0x7FE00010: ("OW", bytes(2000)),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **elements}), meta={0x00020016: ("AE", "SCANNER")}))
    engine.file(source, target, identifiers)
    changes = {change.path: change for change in engine.compare(source, target)}

    def shown(path: str) -> tuple[str, str, str, str]:
        change = changes[path]
        return change.before, change.after, change.rule, change.kind

    uid = engine.uid("1.2.826.0.1.3.4.5")
    assert shown("Modality") == ("CT", "CT", "technical", "kept")
    assert shown("PatientName") == ("Grunwald^Ottilie", "PSEUDO^ONE", "identifier", "changed")
    assert shown("PatientBirthDate") == ("19370412", "", "E.1-1:Z", "emptied")
    assert shown("PatientAddress") == ("Elm Street 5", "", "E.1-1:X", "removed")
    assert shown("StudyDate") == ("", "20200202", "identifier", "added")
    assert shown("(0008,1140)[0].ReferencedSOPInstanceUID") == ("1.2.826.0.1.3.4.5", uid, "E.1-1:U", "changed")
    assert shown("(0010,1002)[0].PatientID")[3] == "removed"
    assert shown("(0009,0010)") == ("VENDOR", "", "private", "removed")
    assert shown("PixelData") == ("2000 bytes", "2000 bytes", "keep", "kept")
    assert shown("SourceApplicationEntityTitle") == ("SCANNER", "", "file-meta", "removed")
    assert shown("PatientIdentityRemoved")[2:] == ("mark", "added")
    assert "Grunwald" not in repr(changes["PatientName"])
    assert changes["(0008,1140)[0].ReferencedSOPInstanceUID"].vr == "UI"
