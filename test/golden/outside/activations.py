"""Values and gradients of activations from PyTorch, in double precision: writes activations.json beside itself.

    /usr/bin/python3 test/golden/outside/activations.py      (made with torch 1.13.0, CPU)

Inputs are the float32 numbers nearest to the printed ones. The gradient is that of sum(weights * y), weights 1, 2, 3, ... / 8 cyclic.
"""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

INPUTS = [0.0, 1e-4, -1e-4, 0.3, -0.3, 1.0, -1.0, 2.5, -2.5, 7.0, -7.0, 20.0, -20.0, 100.0, -100.0, -0.75]

CASES = {
    "relu": F.relu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "leakyRelu": F.leaky_relu,
    "leakyRelu slope 0.2": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "elu alpha 1.5": lambda x: F.elu(x, 1.5),
    "selu": F.selu,
    "celu": F.celu,
    "celu alpha 0.5": lambda x: F.celu(x, 0.5),
    "silu": F.silu,
    "mish": F.mish,
    "softsign": F.softsign,
    "hardSigmoid": F.hardsigmoid,
    "hardSwish": F.hardswish,
    "hardTanh": F.hardtanh,
    "hardTanh -0.5 2": lambda x: F.hardtanh(x, -0.5, 2.0),
    "relu6": F.relu6,
    "logSigmoid": F.logsigmoid,
    "thresholdedRelu": lambda x: F.threshold(x, 1.0, 0.0),
    "softmax": lambda x: F.softmax(x.reshape(2, 8), 1).reshape(16),
    "softmax axis 1 of 3": lambda x: F.softmax(x.reshape(2, 4, 2), 1).reshape(16),
    "logSoftmax": lambda x: F.log_softmax(x.reshape(2, 8), 1).reshape(16),
    "glu": lambda x: F.glu(x.reshape(2, 8)).reshape(8),
    "glu axis 1": lambda x: F.glu(x.reshape(2, 4, 2), 1).reshape(8),
    "prelu slope 0.25": lambda x: F.prelu(x, torch.tensor([0.25], dtype=torch.float64)),
}


def case(function):
    x = torch.tensor(INPUTS, dtype=torch.float32).double().requires_grad_()
    y = function(x)
    weights = (torch.arange(y.numel()) % 8 + 1).double() / 8
    (y * weights).sum().backward()
    return {"y": rounded(y), "dx": rounded(x.grad)}


def rounded(values):
    return [float(f"{value:.9g}") for value in values.tolist()]


cases = {name: case(function) for name, function in CASES.items()}
lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(result)}" for name, result in cases.items())
text = f'{{\n  "torch": "{torch.__version__}",\n  "x": {json.dumps(INPUTS)},\n  "cases": {{\n{lines}\n  }}\n}}\n'
Path(__file__).with_suffix(".json").write_text(text)
