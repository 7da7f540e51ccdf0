"""Trajectories of PyTorch's L-BFGS, for test/unit/optim/lbfgs.test.ts: the loss after each iteration.

Run with: /usr/bin/python3 test/golden/outside/lbfgs.py
Written with PyTorch 1.13.0, in double precision.
"""

import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)


def rosenbrock(x):
    """Sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def network(features, targets, units):
    """Mean squared error of a network with one hidden layer of tanh; x holds kernel, bias, kernel, bias."""
    inputs = features.shape[1]

    def loss(x):
        kernel, bias, out, last = torch.split(x, [inputs * units, units, units, 1])
        hidden = torch.tanh(features @ kernel.reshape(inputs, units) + bias)
        return ((hidden @ out.reshape(units, 1) + last - targets) ** 2).mean()

    return loss


def trajectory(loss, start, iterations, **options):
    x = torch.tensor(start, requires_grad=True)
    # One call is one iteration. Many evaluations are allowed, since max_eval would otherwise end the line search early.
    optimizer = torch.optim.LBFGS([x], max_iter=1, max_eval=100, **options)

    def closure():
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        return value

    losses = []
    for _ in range(iterations):
        optimizer.step(closure)
        losses.append(loss(x).item())
    return {"losses": losses, "reached": x.tolist()}


def main():
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: (torch.rand(*shape, generator=generator) * 2 - 1).mul(1e4).round().div(1e4)
    features = draw(24, 3)
    targets = (torch.sin(2 * features[:, :1]) + features[:, 1:2] * features[:, 2:3]).mul(1e4).round().div(1e4)
    weights = draw(3 * 4 + 4 + 4 + 1)
    net = network(features, targets, 4)
    search = {"line_search_fn": "strong_wolfe"}
    result = {
        "rosenbrock": {
            "start": [-1.2, 1.0],
            "strongWolfe": trajectory(rosenbrock, [-1.2, 1.0], 30, history_size=10, **search),
        },
        "rosenbrock5": {
            "start": [-1.0, 0.5, 2.0, -0.3, 1.4],
            "strongWolfe": trajectory(rosenbrock, [-1.0, 0.5, 2.0, -0.3, 1.4], 30, history_size=3, **search),
        },
        "network": {
            "features": features.tolist(),
            "targets": targets.tolist(),
            "start": weights.tolist(),
            "units": 4,
            "strongWolfe": trajectory(net, weights.tolist(), 25, history_size=10, **search),
            "none": trajectory(net, weights.tolist(), 25, history_size=10, lr=0.5),
        },
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result, indent=1) + "\n")


main()
