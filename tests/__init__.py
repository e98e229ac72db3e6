"""The tests mirror the rooms."""

import ocr  # noqa: F401  sets how torch's threads wait, before any test imports torch
