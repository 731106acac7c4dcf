"""Computation graphs made visible: forward values, error signals, and checks of both (`nnlab graph`).

Import what needs torch by module: `nnlab.backprop.mlp`; the rest starts without it.
"""

from nnlab.backprop.cost import LayerCost, backward_cost, forward_cost, layer_costs
from nnlab.backprop.examples import EXAMPLES, Example
from nnlab.backprop.graph import Graph, Node
from nnlab.backprop.operations import FUNCTIONS, Operation
from nnlab.backprop.parsing import read

__all__ = [
    "EXAMPLES",
    "FUNCTIONS",
    "Example",
    "Graph",
    "LayerCost",
    "Node",
    "Operation",
    "backward_cost",
    "forward_cost",
    "layer_costs",
    "read",
]
