"""Writes `types.json`, the Types of attributes by SOP class, from the IODs of PS3.3 as highdicom ships them.

Run it as ``python deidentify/tables/generate_types.py FOLDER`` with the folder of an unpacked highdicom wheel (MIT
licence; it is needed for this alone). Facts only: SOP Class UIDs, tags and Types, of the attributes that a rule may
remove, empty or clean.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

from pydicom._dicom_dict import DicomDictionary

TEXT_VRS = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"}


def relevant() -> dict[str, int]:
    """Return the tags whose Type matters, by keyword."""
    rows = json.loads(Path(__file__).with_name("e1_1.json").read_text("utf-8"))["rows"]
    listed = {keyword: int(tag, 16) for tag, keyword, *_ in rows if keyword and "x" not in tag}
    texts = {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[0] in TEXT_VRS and entry[4]}
    replaced = {keyword for _, keyword, _, basic, *_ in rows if basic == "U"}
    return {keyword: tag for keyword, tag in {**texts, **listed}.items() if keyword not in replaced}


def types_of_module(attributes: list[dict[str, Any]], tags: dict[str, int]) -> dict[str, str]:
    """Return the tags of a module in one string by the Types that they have anywhere in it, as ``{"1": ..., "13": ...}``.

    What is conditional (1C, 2C) counts as what it is when the condition holds.
    """
    types: dict[int, set[str]] = defaultdict(set)
    for attribute in attributes:
        if attribute["keyword"] in tags and attribute["type"][:1] in ("1", "2", "3"):
            types[tags[attribute["keyword"]]].add(attribute["type"][0])
    found: dict[str, list[str]] = defaultdict(list)
    for tag, kinds in sorted(types.items()):
        found["".join(sorted(kinds))].append(f"{tag:08x}")
    return {kinds: "".join(of_kinds) for kinds, of_kinds in sorted(found.items())}


def compact(iods: ModuleType, modules: ModuleType, version: str) -> str:
    """Return the text of `types.json`: the tags of each module by Type, and the modules of each SOP class."""
    tags = relevant()
    numbers: dict[str, int] = {}
    classes: dict[str, list[str]] = defaultdict(list)
    for sop_class, iod in sorted(iods.SOP_CLASS_UID_IOD_KEY_MAP.items()):
        keys = sorted(module["key"] for module in iods.IOD_MODULE_MAP.get(iod, ()))
        classes[json.dumps([numbers.setdefault(key, len(numbers)) for key in keys])].append(sop_class)
    lines = (json.dumps(types_of_module(modules.MODULE_ATTRIBUTE_MAP.get(key, []), tags)) for key in numbers)
    return (
        f'{{\n"source": {json.dumps(f"facts of PS3.3 as parsed by highdicom {version} (MIT)")},\n"modules": [\n'
        + ",\n".join(lines)
        + '\n],\n"classes": [\n'
        + ",\n".join(f"[{json.dumps(uids)}, {found}]" for found, uids in classes.items())
        + "\n]\n}\n"
    )


def main() -> None:
    """Read the IODs and modules in the folder named on the command line and write `types.json` beside this module."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the wheel of highdicom was unpacked")
    folder = parser.parse_args().folder
    version = re.search(r"highdicom-([0-9.]+)\.dist-info", " ".join(path.name for path in folder.iterdir()))
    if version is None:
        raise SystemExit(f"{folder} is no unpacked wheel of highdicom.")
    target = Path(__file__).with_name("types.json")
    target.write_text(
        compact(_module(folder, "_iods"), _module(folder, "_modules"), version.group(1)), encoding="utf-8"
    )
    print(f"{target}: {target.stat().st_size} bytes")


def _module(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / "highdicom" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} has no {name}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
