"""The two networks of PP-OCR that come inside the package rapidocr-onnxruntime, loaded once in a process.

They run on one thread, so that workers do not take each other's cores; the package's own code is never imported.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deidentify.errors import Refused

Picture = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]

DETECTION, RECOGNITION = "ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"


def run(model: str, picture: Picture | Map) -> Map:
    """Run a network on a picture of rows by columns, or rows by columns by red, green and blue, 0 to 255."""
    session = _session(model)
    colours: npt.NDArray[Any] = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    value = np.ascontiguousarray((colours / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)[None])
    result: Map = session.run(None, {session.get_inputs()[0].name: value})[0]
    return result


def characters() -> list[str]:
    """Return what the outputs of the recognition network stand for; the first stands for nothing."""
    return ["", *_session(RECOGNITION).get_modelmeta().custom_metadata_map["character"].splitlines(), " "]


@cache
def _session(model: str) -> Any:
    spec = find_spec("rapidocr_onnxruntime")
    if spec is None or not spec.submodule_search_locations or find_spec("onnxruntime") is None:
        raise Refused(
            "pixels-undecided",
            "Pixels have to be searched for text, but rapidocr-onnxruntime is not installed. Run sendit on Python 3.11 or "
            "3.12 (there is no package for later ones) with what requirements.txt names.",
        )
    # Its wheels keep a device's id and a record of use in the home folder, for their maker; read when it is imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # type: ignore[import-untyped]  # it has no types

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    path = Path(spec.submodule_search_locations[0]) / "models" / model
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def resized(picture: Picture, rows: int, columns: int) -> Picture | Map:
    """Return a picture in another size: averaged when much smaller, interpolated otherwise."""
    if picture.shape[:2] == (rows, columns):
        return picture
    value: Map = picture.astype(np.float32)
    for axis, wanted in ((0, rows), (1, columns)):
        length = value.shape[axis]
        factor = length // wanted
        if factor > 1:
            shape = (*value.shape[:axis], -(-length // factor), factor, *value.shape[axis + 1 :])
            value = np.take(value, np.minimum(np.arange(shape[axis] * factor), length - 1), axis=axis)
            value = value.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
            length = value.shape[axis]
        if length != wanted:
            place = np.clip((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0, length - 1)
            below = place.astype(np.intp)
            part = (place - below).astype(np.float32).reshape([-1 if at == axis else 1 for at in range(value.ndim)])
            above = np.take(value, np.minimum(below + 1, length - 1), axis=axis)
            value = np.take(value, below, axis=axis) * (1 - part) + above * part
    return value
