"""The parts of an export: the proof with EasyOCR's Reader, ONNX files, what a weight file is."""
