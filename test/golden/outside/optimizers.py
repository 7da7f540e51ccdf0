"""Parameters after steps of PyTorch's optimizers in double precision, for test/unit/optim/optimizers.test.ts.

    /usr/bin/python3 test/golden/outside/optimizers.py

writes optimizers.json beside itself. Made with Python 3.11, PyTorch 1.13.0, numpy 1.24.2.
"""
import json
import math
import os

import numpy
import torch

STEPS = 12
KEPT = [0, 1, 2, 6, 11]

random = numpy.random.default_rng(7)
noise = random.uniform(-1, 1, (STEPS, 6)).round(4)


def gradient(t):
    """One step's gradient; the parameters are ones at first."""
    return [
        *noise[t, :4],
        0.1,
        0.0,
        noise[t, 4] if t < 3 else 0.0,  # stops
        noise[t, 5] if t > 3 else 0.0,  # begins
        1e-20 * (-1) ** t,
        1e-8 * (t + 1),
        1e15 * noise[t, 0],
    ]


gradients = [[float(g) for g in gradient(t)] for t in range(STEPS)]

# In PyTorch 1.13 the loop over single tensors has μ_t twice in the product to t + 1 of NAdam; the one over lists (foreach) is right, as are
# both in later versions.
# Ours: name and options; PyTorch's: class and options.
cases = [
    ("sgd", dict(learningRate=0.1), "SGD", dict(lr=0.1)),
    ("sgd", dict(learningRate=0.1, momentum=0.9), "SGD", dict(lr=0.1, momentum=0.9)),
    (
        "sgd",
        dict(learningRate=0.1, momentum=0.8, nesterov=True, weightDecay=0.3),
        "SGD",
        dict(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.3),
    ),
    ("adam", dict(epsilon=1e-8), "Adam", dict()),
    ("adam", dict(learningRate=0.1, beta1=0.5, beta2=0.9, epsilon=0.01), "Adam", dict(lr=0.1, betas=(0.5, 0.9), eps=0.01)),
    ("adam", dict(learningRate=0.1, epsilon=1e-8, weightDecay=0.3), "Adam", dict(lr=0.1, weight_decay=0.3)),
    ("adam", dict(learningRate=0.1, beta2=0.8, amsgrad=True), "Adam", dict(lr=0.1, betas=(0.9, 0.8), eps=1e-7, amsgrad=True)),
    ("adamW", dict(learningRate=0.1, epsilon=1e-8, weightDecay=0.3), "AdamW", dict(lr=0.1, weight_decay=0.3)),
    (
        "adamW",
        dict(learningRate=0.1, epsilon=1e-8, beta2=0.8, weightDecay=0.3, amsgrad=True),
        "AdamW",
        dict(lr=0.1, betas=(0.9, 0.8), weight_decay=0.3, amsgrad=True),
    ),
    ("adamax", dict(epsilon=1e-8), "Adamax", dict()),
    (
        "adamax",
        dict(learningRate=0.1, beta1=0.8, beta2=0.7, epsilon=1e-8, weightDecay=0.3),
        "Adamax",
        dict(lr=0.1, betas=(0.8, 0.7), weight_decay=0.3),
    ),
    ("nadam", dict(epsilon=1e-8), "NAdam", dict(foreach=True)),
    (
        "nadam",
        dict(learningRate=0.1, beta1=0.8, beta2=0.9, epsilon=0.01, momentumDecay=0.5, weightDecay=0.3),
        "NAdam",
        dict(lr=0.1, betas=(0.8, 0.9), eps=0.01, momentum_decay=0.5, weight_decay=0.3, foreach=True),
    ),
    ("radam", dict(learningRate=0.1, epsilon=1e-8), "RAdam", dict(lr=0.1)),
    (
        "radam",
        dict(learningRate=0.1, beta1=0.8, beta2=0.9, epsilon=0.01, weightDecay=0.3),
        "RAdam",
        dict(lr=0.1, betas=(0.8, 0.9), eps=0.01, weight_decay=0.3),
    ),
    ("rmsprop", dict(learningRate=0.01, rho=0.99, epsilon=1e-8, epsilonInRoot=False), "RMSprop", dict()),
    (
        "rmsprop",
        dict(learningRate=0.1, rho=0.9, epsilon=1e-4, epsilonInRoot=False, centered=True),
        "RMSprop",
        dict(alpha=0.9, lr=0.1, eps=1e-4, centered=True),
    ),
    (
        "rmsprop",
        dict(rho=0.9, epsilon=1e-4, epsilonInRoot=False, centered=True, momentum=0.8, weightDecay=0.3),
        "RMSprop",
        dict(alpha=0.9, lr=0.001, eps=1e-4, centered=True, momentum=0.8, weight_decay=0.3),
    ),
    ("rmsprop", dict(rho=0.9, epsilon=1e-8, epsilonInRoot=False, momentum=0.5), "RMSprop", dict(alpha=0.9, lr=0.001, momentum=0.5)),
    ("adagrad", dict(), "Adagrad", dict()),
    (
        "adagrad",
        dict(learningRate=0.3, initialAccumulator=0.5, epsilon=0.01, weightDecay=0.3),
        "Adagrad",
        dict(lr=0.3, initial_accumulator_value=0.5, eps=0.01, weight_decay=0.3),
    ),
    ("adadelta", dict(rho=0.9), "Adadelta", dict()),
    (
        "adadelta",
        dict(learningRate=3, rho=0.8, epsilon=0.001, weightDecay=0.3),
        "Adadelta",
        dict(lr=3, rho=0.8, eps=0.001, weight_decay=0.3),
    ),
    ("rprop", dict(), "Rprop", dict()),
    (
        "rprop",
        dict(initialStep=0.1, decrease=0.3, increase=1.5, minimumStep=0.02, maximumStep=0.2),
        "Rprop",
        dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(0.02, 0.2)),
    ),
]


def run(name, options):
    p = torch.ones(len(gradients[0]), dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([p], **options)
    rows = []
    for g in gradients:
        p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
        rows.append([float(f"{value:.9g}") for value in p.tolist()])
    assert all(math.isfinite(value) for row in rows for value in row)
    return [rows[t] for t in KEPT]


path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizers.json")
with open(path, "w") as file:
    head = {"torch": torch.__version__, "kept": KEPT, "gradients": gradients}
    lines = [
        json.dumps({"name": ours, "options": options, "rows": run(theirs, their_options)})
        for ours, options, theirs, their_options in cases
    ]
    file.write(json.dumps(head)[:-1] + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")
