"""What the scripts beside this folder share that export networks by PyTorch. In a folder of its own, as files there are called as packages
are and are taken off the path."""

import numpy as np
import onnx


def rows(a):
    """Numbers as they are kept, a sample each."""
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


def slim(path):
    """Without the names of source lines, which are longer than the network."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for entry in list(model.graph.input) + list(model.graph.output):
        entry.doc_string = ""
        del entry.metadata_props[:]
    onnx.save(model, path)
