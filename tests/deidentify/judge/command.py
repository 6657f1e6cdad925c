"""The command `python -m deidentify` as the judge uses it: a folder goes in, a folder, a mapping and a report come out.

Everything that it writes, certificates and names of files included, is searched like an output.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path as File

from tests.deidentify.judge.truth import Truth

_SECONDS = 600


def released(recipe: str, truths: list[Truth], folder: File, target: File, workers: int) -> dict[str, str]:
    """De-identify `folder`/in into `target`, note the pseudonyms, and return what was refused.

    What lies beside the images is gathered in one text, together with what is printed and all names of files.
    """
    key, out = folder / "key", folder / f"command-{target.name}"
    if not key.exists():
        subprocess.run([sys.executable, "-m", "deidentify", "key", str(key)], check=True, capture_output=True)
    mapping, report = folder / f"{target.name}.csv", folder / f"{target.name}.json"
    options = ["--recipe", recipe, "--key-file", key, "--mapping", mapping, "--report", report, "--workers", workers]
    command = [sys.executable, "-W", "ignore", "-m", "deidentify", folder / "in", out, *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"the command ended with {done.returncode}: {done.stderr[-1000:]}")
    with mapping.open(encoding="utf-8", newline="") as file:
        new = {row["id_old"]: row["id_new"] for row in csv.DictReader(file)}
    for truth in truths:
        truth.pseudonym = new.get(truth.patient, "")
    refused = {}
    by_name = {truth.name: truth for truth in truths}
    for entry in json.loads(report.read_text("utf-8"))["files"]:
        truth = by_name[entry["path"]]
        if entry["outcome"] == "released":
            shutil.move(out / entry["output"], target / truth.name)
        else:
            refused[f"{truth.kind} {truth.name}"] = f"{entry.get('code', entry['outcome'])}: {entry.get('reason', '')}"
    beside = [str(path.relative_to(out)) for path in sorted(out.rglob("*"))] + [done.stdout, done.stderr]
    beside += [path.read_text("utf-8", "replace") for path in sorted(out.rglob("*")) if path.is_file()]
    (folder / f"{target.name}-beside.txt").write_text("\n".join(beside), "utf-8")
    return refused
