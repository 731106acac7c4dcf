"""Networks, each an ordinary `torch.nn.Module`: perceptron, MLP, RealMLP, convolutional and residual networks."""

from nnlab.architecture.base import GlobalAveragePool, Head, MakeActivation
from nnlab.architecture.convnet import ConvNet
from nnlab.architecture.mlp import MLP
from nnlab.architecture.perceptron import Perceptron
from nnlab.architecture.realmlp import RealMLP
from nnlab.architecture.resnet import ResNet

__all__ = ["MLP", "ConvNet", "GlobalAveragePool", "Head", "MakeActivation", "Perceptron", "RealMLP", "ResNet"]
