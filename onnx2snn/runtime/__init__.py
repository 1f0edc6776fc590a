"""Running a spiking network in time: sessions that step, stop early and count spikes.

`SpikingSession` is the entry. What a file is stands in `onnx2snn.artifact`, how a graph runs in
`onnx2snn.engine`.
"""
