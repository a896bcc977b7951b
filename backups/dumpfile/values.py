"""The values in statements that bring rows, each as it is written, quotes and all."""

from __future__ import annotations

import re

QUOTED = rb"'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'|\"[^\"\\]*+(?:(?:\\.|\"\")[^\"\\]*+)*+\""
ROW = re.compile(rb"\((?:[^()'\"]++|" + QUOTED + rb"|)*+\)", re.S)
# One value of a row, with what says how a text is to be read: _binary '…'.
VALUE = rb"(?:[^,()'\"]++|" + QUOTED + rb"|)*+"
