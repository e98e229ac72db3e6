"""The evaluator: how well EasyOCR reads the evaluation pages, before and after fine-tuning."""

import ocr  # noqa: F401  sets how torch's threads wait, before torch is imported
