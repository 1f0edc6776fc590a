"""Which layer of a spiking network makes the error, and of which kind it is."""

from onnx2snn.analysis.diagnosis.diagnose import diagnose
from onnx2snn.analysis.diagnosis.reference import PreparedReference

__all__ = ["PreparedReference", "diagnose"]
