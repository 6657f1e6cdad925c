"""`docker-compose.yml` keeps what it promises: one published port, known settings, parts without privileges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sendit.reference import SETTINGS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PARTS = {name: service for name, service in SERVICES.items() if service["image"] == "sendit"}


def test_only_the_page_and_the_receiver_are_published_and_only_on_this_machine():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:${NODE_PORT:-8080}:8080"],
        "receiver": ["${NODE_DICOM_ADDRESS:-127.0.0.1}:${NODE_DICOM_PORT:-11112}:11112"],
    }


def test_database_broker_and_orthanc_reach_and_are_reached_by_nobody_outside():
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in SERVICES.keys() - PARTS.keys():
        assert SERVICES[name]["networks"] == ["inside"], name


@pytest.mark.parametrize("name", PARTS)
def test_every_setting_of_a_part_is_one_of_sendits(name):
    known = {each.name for each in SETTINGS} | {f"{each.name}_FILE" for each in SETTINGS if each.secret}
    assert PARTS[name]["environment"].keys() <= known


@pytest.mark.parametrize("name", PARTS)
def test_every_part_runs_without_privileges_on_a_read_only_system(name):
    part = PARTS[name]
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]


def test_a_service_without_rights_is_not_started_as_root():
    """An entry point that is root changes the owner of its files first, and ends where it may not."""
    for name in SERVICES.keys() - PARTS.keys():
        assert "cap_drop" not in SERVICES[name] or SERVICES[name].get("user", "root") != "root", name


def test_every_secret_comes_from_a_file():
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"(PASSWORD|SECRET|KEY)\w*(?<!_FILE): (?!/run/secrets/)", text)
    assert {"file"} == {key for secret in COMPOSE["secrets"].values() for key in secret}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"setup", "commitment", "web"}))
def test_every_service_says_how_its_health_is_seen(name):
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_image_is_not_root_and_takes_packages_by_hash_only():
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile
    user = dockerfile.rindex("\nUSER 10001:10001\n")
    assert "\nRUN" not in dockerfile[user:]
    assert "\nHEALTHCHECK" in dockerfile


def test_the_image_holds_every_package_of_the_project():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE))
    assert copied == packages
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text()
    assert all(f"!{package}\n" in ignored for package in packages)
