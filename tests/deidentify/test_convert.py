"""Scripts of other tools become recipes that are accepted, and what is not in them is listed with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidentify import Recipe, Refused
from deidentify.convert import Converted, from_ctp, from_deid
from deidentify.dictionary import TAGS
from deidentify.recipe.reader import read

CTP = """<script>
  <p t="DATEINC">-17</p>
  <e en="T" t="00080020" n="StudyDate">@incrementdate(this,@DATEINC)</e>
  <e en="T" t="00080050" n="AccessionNumber">@hash(this,16)</e>
  <e en="T" t="00080070" n="Manufacturer">@keep()</e>
  <e en="T" t="00080080" n="InstitutionName">@remove()</e>
  <e en="F" t="00080090" n="ReferringPhysicianName">@keep()</e>
  <e en="T" t="00081030" n="StudyDescription">@empty()</e>
  <e en="T" t="0020000D" n="StudyInstanceUID">@hashuid(@UIDROOT,this)</e>
  <e en="T" t="00200052" n="FrameOfReferenceUID">@hashuid(@UIDROOT,this)</e>
  <e en="T" t="00120062" n="PatientIdentityRemoved">YES</e>
  <e en="T" t="00100040" n="PatientSex">@if(this,isblank){X}{@keep()}</e>
  <e en="T" t="0029[SIEMENS CSA HEADER]10" n="CSA">@keep()</e>
  <e en="T" t="00100020" n="PatientID">@keep()</e>
  <k en="T" t="0018">Keep group 18</k>
  <r en="T" t="privategroups">Remove private groups</r>
  <r en="T" t="unspecifiedelements">Remove unchecked elements</r>
</script>
"""

DEID = """FORMAT dicom

%filter blacklist
LABEL Screen captures of Maker # reported by nobody
contains Modality CT
+ contains Manufacturer MAKER|Maker Medical
+ notequals ImageType ORIGINAL

LABEL Either way
missing Manufacturer || empty Modality

%filter graylist
LABEL Banner
equals Modality US
+ equals Columns 640
+ equals Rows 480
ctpcoordinates 0,0,640,40
coordinates 600,440,700,480

LABEL Banner of any size
equals Modality US
coordinates 0,0,640,40

%filter whitelist
LABEL Clean
contains BurnedInAnnotation NO

%fields people
FIELD contains:Physician

%header
ADD PatientIdentityRemoved YES
KEEP Manufacturer
BLANK StudyDescription
REMOVE InstitutionName
REMOVE select:VR:PN
REMOVE startswith:Responsible
JITTER StudyDate var:days
REPLACE PatientID var:id
REPLACE AccessionNumber func:pseudonym
REPLACE FrameOfReferenceUID func:uid
REMOVE (0033,"ACME IMAGING",1E)
REMOVE ALL func:is_name
"""


def recipe_of(converted: Converted) -> Recipe:
    return read("converted.yaml", converted.recipe)


def overrides(recipe: Recipe) -> dict[tuple[int | None, str, str], str]:
    return {(one.tag, one.vr, one.creator): one.action for one in recipe.overrides}


def test_a_ctp_script_becomes_a_recipe() -> None:
    converted = from_ctp(CTP, "trial 7")
    recipe = recipe_of(converted)
    assert (recipe.name, recipe.profile, recipe.options) == ("trial 7", "basic", ("retain-modified-dates",))
    assert overrides(recipe) == {
        (TAGS["StudyDate"], "", ""): "shift",
        (TAGS["Manufacturer"], "", ""): "keep",
        (TAGS["InstitutionName"], "", ""): "remove",
        (TAGS["StudyDescription"], "", ""): "empty",
        (TAGS["FrameOfReferenceUID"], "", ""): "replace-uid",
        (0x00290010, "", "SIEMENS CSA HEADER"): "keep",
    }
    left = {one.line: (one.rule, one.why) for one in converted.left}
    assert sorted(left) == [2, 4, 12, 14, 15, 17]
    assert "provider" in left[4][1]
    assert "has no function 'if'" in left[12][1]
    assert left[14] == ("e 00100020 PatientID @keep()", "PatientID is always replaced or marked.")


def test_a_deid_recipe_becomes_a_recipe() -> None:
    converted = from_deid(DEID)
    recipe = recipe_of(converted)
    assert [(one.name, one.action) for one in recipe.filters] == [
        ("Screen captures of Maker", "quarantine"),
        ("Either way", "quarantine"),
        ("Either way 2", "quarantine"),
    ]
    modality, maker, kind = TAGS["Modality"], TAGS["Manufacturer"], TAGS["ImageType"]
    first, second, third = (one.condition for one in recipe.filters)
    assert first.matches({modality: b"CT", maker: b"The Maker Medical", kind: b"DERIVED\\SECONDARY"})
    assert not first.matches({modality: b"CT", maker: b"The Maker Medical", kind: b"ORIGINAL\\SECONDARY"})
    assert not first.matches({modality: b"MR", maker: b"The Maker Medical"})
    assert second.matches({})
    assert not second.matches({maker: b"X"})
    assert third.matches({maker: b"X"})
    (rectangles,) = recipe.pixels.rectangles
    assert (rectangles.columns, rectangles.rows) == (640, 480)
    assert rectangles.boxes == ((0, 0, 640, 40), (600, 440, 40, 40))
    found = overrides(recipe)
    assert found.pop((TAGS["ResponsiblePerson"], "", "")) == "remove"
    assert found.pop((None, "PN", "")) == "remove"
    assert found[(0x0033001E, "", "ACME IMAGING")] == "remove"
    assert found[(TAGS["StudyDate"], "", "")] == "shift"
    assert found[(TAGS["FrameOfReferenceUID"], "", "")] == "replace-uid"
    assert found[(TAGS["Manufacturer"], "", "")] == "keep"
    left = {one.rule for one in converted.left}
    assert left == {
        "LABEL Banner of any size",
        "LABEL Clean",
        "FIELD contains:Physician",
        "REPLACE AccessionNumber func:pseudonym",
        "REMOVE ALL func:is_name",
    }
    assert [DEID.splitlines()[one.line - 1] for one in converted.left] == [one.rule for one in converted.left]


@pytest.mark.parametrize(
    ("convert", "script", "complaint"),
    [
        (from_ctp, "<script>", "Line 1 of the script is not XML"),
        (from_ctp, "<pixels/>", "no CTP anonymizer script"),
        (from_ctp, '<!DOCTYPE a [<!ENTITY b "c">]><script/>', "declares a DOCTYPE"),
        (from_deid, "%header\nKEEP Modality\n", "first line is not 'FORMAT dicom'"),
        (from_deid, "", "first line is not 'FORMAT dicom'"),
    ],
)
def test_what_is_no_script_is_refused(convert: object, script: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        convert(script)  # type: ignore[operator]  # one of the two functions


@given(
    st.lists(st.sampled_from(DEID.splitlines() + ["LABEL", "+", "contains", "KEEP", "coordinates 1", "%"]), max_size=30)
)
def test_every_order_of_lines_gives_an_accepted_recipe(lines: list[str]) -> None:
    recipe_of(from_deid("\n".join(["FORMAT dicom", *lines])))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_content_of_a_script_breaks_the_recipe(target: str, name: str, text: str) -> None:
    from xml.sax.saxutils import escape, quoteattr

    clean = ["".join(char for char in part if char.isprintable()) for part in (target, name, text)]
    script = f'<script><e en="T" t={quoteattr(clean[0])} n={quoteattr(clean[1])}>{escape(clean[2])}</e></script>'
    recipe_of(from_ctp(script, name))
