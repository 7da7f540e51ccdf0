"""Learning rates of PyTorch's schedulers, for test/unit/optim/schedules.test.ts.

Run: /usr/bin/python3 test/golden/outside/schedules.py   (writes schedules.json beside itself; made with PyTorch 1.13.0, Python 3.11)
A scheduler takes one step for each step of training, so its periods are given in steps.
"""

import json
import pathlib
import warnings

import torch
from torch.optim import lr_scheduler as schedulers

warnings.filterwarnings("ignore")


def rates(rate, steps, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(float(f"{optimizer.param_groups[0]['lr']:.12g}"))
        optimizer.step()
        scheduler.step()
    return found


def sequential(optimizer):
    warmup = schedulers.LinearLR(optimizer, start_factor=0.25, total_iters=4)
    fall = schedulers.CosineAnnealingLR(optimizer, T_max=8)
    return schedulers.SequentialLR(optimizer, [warmup, fall], milestones=[4])


golden = {
    "stepDecay": rates(0.1, 14, lambda o: schedulers.StepLR(o, step_size=4, gamma=0.5)),
    "multiStep": rates(0.1, 14, lambda o: schedulers.MultiStepLR(o, milestones=[3, 7, 11], gamma=0.2)),
    "exponential": rates(0.1, 14, lambda o: schedulers.ExponentialLR(o, gamma=0.9)),
    "polynomial": rates(0.1, 14, lambda o: schedulers.PolynomialLR(o, total_iters=10, power=2)),
    "linear": rates(0.1, 14, lambda o: schedulers.LinearLR(o, start_factor=1, end_factor=0.2, total_iters=10)),
    "cosine": rates(0.1, 13, lambda o: schedulers.CosineAnnealingLR(o, T_max=12, eta_min=0.01)),
    "cosineRestarts": rates(0.1, 40, lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2, eta_min=0.01)),
    "cosineRestartsEqual": rates(0.1, 16, lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=5, eta_min=0)),
    "oneCycle": rates(0.1, 20, lambda o: schedulers.OneCycleLR(o, max_lr=0.1, total_steps=21, cycle_momentum=False)),
    "oneCycleLinear": rates(
        0.1,
        20,
        lambda o: schedulers.OneCycleLR(
            o, max_lr=0.2, total_steps=21, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100
        ),
    ),
    "oneCycleThreePhases": rates(
        0.1, 20, lambda o: schedulers.OneCycleLR(o, max_lr=0.1, total_steps=21, pct_start=0.35, three_phase=True)
    ),
    "cyclic": rates(0.1, 20, lambda o: schedulers.CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=3)),
    "cyclicHalved": rates(0.1, 20, lambda o: schedulers.CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=3, mode="triangular2")),
    "linearWarmup": rates(0.1, 9, lambda o: schedulers.LinearLR(o, start_factor=0.25, total_iters=6)),
    "sequence": rates(0.1, 13, sequential),
}

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text("{\n" + ",\n".join(f'  "{name}": {json.dumps(values)}' for name, values in golden.items()) + "\n}\n")
