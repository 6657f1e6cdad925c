"""Families of compressed transfer syntaxes (PS3.5 A.4), by what is the same for reading and writing their frames.

Data only, so that it can be asked without loading a codec.
"""

from __future__ import annotations

JPEG, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K, RLE = "jpeg", "lossless jpeg", "jpeg-ls", "jpeg 2000", "htj2k", "rle"
_ROOT = "1.2.840.10008.1.2."
FAMILIES: dict[str, str] = {
    _ROOT + "4.50": JPEG,
    _ROOT + "4.51": JPEG,
    _ROOT + "4.57": JPEG_LOSSLESS,
    _ROOT + "4.70": JPEG_LOSSLESS,
    _ROOT + "4.80": JPEG_LS,
    _ROOT + "4.81": JPEG_LS,
    _ROOT + "4.90": JPEG_2000,
    _ROOT + "4.91": JPEG_2000,
    _ROOT + "4.201": HTJ2K,
    _ROOT + "4.202": HTJ2K,
    _ROOT + "4.203": HTJ2K,
    _ROOT + "5": RLE,
}
# The syntax in which a frame of a family is written again without loss, where it is not the one that it came in.
WRITTEN_AS: dict[str, str] = {
    _ROOT + "4.81": _ROOT + "4.80",
    _ROOT + "4.202": _ROOT + "4.201",
    _ROOT + "4.203": _ROOT + "4.201",
}
