"""Steps of PyTorch with clipped gradients, parameter groups and averaged weights.

    /usr/bin/python3 test/golden/outside/wrappers.py

writes wrappers.json beside it. Made with Python 3.11, PyTorch 1.13.0 (Debian 1.13.0a0). Gradients are given, not computed: two parameters, p of 5
elements and q of 3, with the gradients of each of 8 steps.
"""
import json
import pathlib
import random

import torch
from torch.optim.swa_utils import AveragedModel

random.seed(5)
STEPS = 8


def numbers(count, scale):
    return [round(random.uniform(-scale, scale), 3) for _ in range(count)]


# Sizes that a bound of 1 clips in some steps and not in others.
gradients = [{"p": numbers(5, scale), "q": numbers(3, scale)} for scale in (0.2, 5, 0.1, 40, 1, 0.3, 1000, 0.5)]


class Weights(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.p = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
        self.q = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))


def run(make, clip=lambda weights: None, averaged=None):
    weights = Weights()
    optimizer = make(weights)
    average = None if averaged is None else AveragedModel(weights, avg_fn=averaged)
    rows = []
    for step in gradients:
        for name, parameter in weights.named_parameters():
            parameter.grad = torch.tensor(step[name], dtype=torch.float64)
        clip(weights)
        optimizer.step()
        shown = weights
        if average is not None:
            average.update_parameters(weights)
            shown = average.module
        rows.append([float(f"{value:.9g}") for parameter in shown.parameters() for value in parameter.detach()])
    return rows


def momentum(weights):
    return torch.optim.SGD(weights.parameters(), lr=0.1, momentum=0.9)


def adam(weights):
    return torch.optim.Adam(weights.parameters(), lr=0.1, eps=1e-7)


def groups(weights):
    return torch.optim.AdamW(
        [{"params": [weights.q], "weight_decay": 0.0, "lr": 0.01}, {"params": [weights.p]}], lr=0.1, weight_decay=0.2, eps=1e-7
    )


def each(weights, bound):
    for parameter in weights.parameters():
        torch.nn.utils.clip_grad_norm_([parameter], bound)


def exponential(average, weights, count):
    """The moving average with its bias taken away: weights of the steps that add up to 1."""
    decay = 0.9
    return average + (1 - decay) / (1 - decay ** (count.item() + 1)) * (weights - average)


cases = {
    "value": run(momentum, lambda weights: torch.nn.utils.clip_grad_value_(weights.parameters(), 0.5)),
    "norm": run(momentum, lambda weights: each(weights, 1.0)),
    "globalNorm": run(adam, lambda weights: torch.nn.utils.clip_grad_norm_(weights.parameters(), 1.0)),
    "groups": run(groups),
    "clippedGroups": run(groups, lambda weights: torch.nn.utils.clip_grad_norm_(weights.parameters(), 1.0)),
    "mean": run(momentum, averaged=lambda average, weights, count: average + (weights - average) / (count + 1)),
    "exponential": run(adam, averaged=exponential),
}
target = pathlib.Path(__file__).with_suffix(".json")
target.write_text(json.dumps({"gradients": gradients, "cases": cases}, separators=(",", ":")) + "\n")
