"""The evaluator: how well EasyOCR reads the evaluation pages, before and after fine-tuning."""
