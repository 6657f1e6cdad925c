"""A certificate says which kinds of errors outputs gained and lost, by dciodvfy; no value of its sentences is in it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import dcmread

from deidentify import Deidentifier, Identifiers, Recipe, validity
from deidentify.certificate import Certificate
from deidentify.cli import main
from deidentify.dictionary import TAGS
from deidentify.recipe import PixelPolicy
from tests.deidentify.command import finished, key_file, write_image
from tests.deidentify.objects import FILES, IDENTIFIERS, KEY, code_of

installed = pytest.mark.skipif(not validity.is_there(), reason="dciodvfy (package dicom3tools) is not installed")
VALUE = "QUINBYQZ"


@pytest.fixture
def broken(ct: Path, tmp_path: Path) -> Path:
    """An image with a name where an enumerated value belongs, without the slope of its values."""
    ds = dcmread(ct)
    ds.PatientSex = VALUE
    del ds.RescaleSlope
    ds.save_as(tmp_path / "broken.dcm")
    return tmp_path / "broken.dcm"


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another program in the place of dciodvfy."""
    program = folder / validity.PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def certificate(folder: Path) -> dict:
    (path,) = folder.glob("*/*.json")
    return json.loads(path.read_text())["certificate"]


@installed
def test_what_an_output_gained_and_lost_is_told_by_kind_without_a_value(ct: Path, broken: Path) -> None:
    gained = {"Missing attribute for Type 1 Required: RescaleSlope": 1, "Unrecognized enumerated value: PatientSex": 1}
    assert validity.difference(ct, broken) == {"gained": gained, "lost": {}}
    assert validity.difference(broken, ct) == {"gained": {}, "lost": gained}


@installed
@pytest.mark.parametrize("recipe", ["basic", "research", "minimal"])
def test_no_output_of_a_real_file_has_more_errors_of_any_kind(recipe: str, tmp_path: Path) -> None:
    engine = Deidentifier(replace(Recipe.load(recipe), pixels=PixelPolicy("keep")), KEY)
    gained, measured = {}, 0
    for number, source in enumerate(FILES):
        target = tmp_path / str(number)
        if not code_of(lambda: engine.file(source, target, Identifiers(IDENTIFIERS))):  # noqa: B023  # called at once
            found = validity.difference(source, target)
            measured += bool(found)
            if found and found["gained"]:
                gained[source.name] = found["gained"]
    assert gained == {}
    assert measured > 130


@given(st.text())
@example("Error - </StudyDate(0008,0020)[1]> - Value invalid for this VR [DA] = <Quinby> - Character invalid")
@example('Error - </(0019,1060,"Quinby")[1]> - Value invalid for this VR [UT] = <<Quinby>')
@example("Error - </Quinby(0010,0010)> - Quinby is missing")
@example("Error - Quinby")
def test_a_kind_is_a_sentence_of_the_list_and_a_keyword_of_the_dictionary_whatever_was_said(line: str) -> None:
    for said in (line, f"Error - {line}", f"Error - </{line}(0010,0010)> - {line}"):
        sentence, _, keyword = validity.kind_of(said).partition(": ")
        assert sentence in {"", *validity._SENTENCES, validity._OTHER}
        assert keyword in {"", *TAGS}


@pytest.mark.parametrize("script", ["exec sleep 300", "exec yes Error >&2", "kill -SEGV $$"])
def test_a_program_that_hangs_never_ends_or_dies_measures_nothing(
    script: str, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validity, "SECONDS", 0.3 if "sleep" in script else 60.0)
    stand_in(tmp_path, script, monkeypatch)
    assert validity.difference(ct, ct) == {}


def test_a_source_that_it_cannot_read_is_not_measured(
    ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, "echo 'Error - Dicom dataset read failed' >&2", monkeypatch)
    assert validity.difference(ct, ct) == {}


@installed
def test_the_command_writes_the_difference_into_certificates(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "1.dcm", "P", 1, 1, PatientSex=VALUE)
    write_image(tmp_path / "in" / "2.dcm", "P", 1, 2)
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nprofile: basic\noverrides: {RescaleSlope: remove}\n")
    key = key_file(tmp_path)
    finished(tmp_path / "in", tmp_path / "out", "--recipe", recipe, "--key-file", key, "--validity")
    found = certificate(tmp_path / "out")["validity"]
    assert found == {
        "measured_by": "dciodvfy",
        "outputs_measured": 2,
        "outputs_not_measured": 0,
        "errors_gained": {"Missing attribute for Type 1 Required: RescaleSlope": 2},
        "errors_lost": {"Unrecognized enumerated value: PatientSex": 1},
    }
    (page,) = (path.read_text() for path in (tmp_path / "out").glob("*/*.html"))
    assert "2 errors that the sources had not, by dciodvfy on 2 of the outputs" in page
    assert "Missing attribute for Type 1 Required: RescaleSlope" in page
    assert VALUE not in page + json.dumps(found)


@installed
def test_outputs_that_were_there_before_are_measured_when_it_is_asked_for(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "1.dcm", "P", 1, 1)
    arguments = (tmp_path / "in", tmp_path / "out", "--recipe", "basic", "--key-file", key_file(tmp_path))
    finished(*arguments)
    assert certificate(tmp_path / "out")["validity"] == "not measured"
    (page,) = (path.read_text() for path in (tmp_path / "out").glob("*/*.html"))
    assert "<th>validity</th><td>not measured</td>" in page
    finished(*arguments, "--validity")
    assert certificate(tmp_path / "out")["validity"]["outputs_measured"] == 1
    finished(*arguments)
    assert certificate(tmp_path / "out")["validity"]["outputs_measured"] == 1


def test_outputs_of_which_none_could_be_measured_are_told_so(
    ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    recipe = Recipe.load("basic")
    released = Deidentifier(recipe, KEY).file(ct, tmp_path / "out.dcm", Identifiers(IDENTIFIERS))
    released = replace(released, validity=validity.difference(ct, tmp_path / "out.dcm"))
    assert Certificate.of([released], recipe).content["validity"] == "not measured"


def test_the_command_says_at_its_start_that_the_program_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "in" / "1.dcm", "P", 1, 1)
    key = key_file(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = [tmp_path / "in", tmp_path / "out", "--recipe", "basic", "--key-file", key, "--validity"]
    assert main([str(argument) for argument in arguments]) == 2
    assert "install the Debian package dicom3tools" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@installed
def test_a_single_file_has_no_certificate_to_put_it_into(
    ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [ct, tmp_path / "out.dcm", "--recipe", "basic", "--key-file", key_file(tmp_path), "--validity"]
    assert main([str(argument) for argument in arguments]) == 2
    assert "single file" in capsys.readouterr().err
    assert not (tmp_path / "out.dcm").exists()
