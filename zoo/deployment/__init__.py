"""Models outside of this project: with their preprocessing inside, as ONNX or as a program of torch.export."""
