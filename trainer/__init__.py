"""The trainer: shards -> a fine-tuned recognizer -> EasyOCR."""

import ocr  # noqa: F401  sets how torch's threads wait, before torch is imported
