"""PyTorch under the protocol of bench/serve.ts: one line of JSON when warm, one more for each line "go", the end at "quit".

    pytorch.py DEFINITION [--batches N] [--threads N] [--seconds S] [--foreach yes|no|auto] [--cold]

DEFINITION is a case of bench/cases.ts as JSON, trained on N batches in turn. With --foreach auto both ways of updating take turns and the faster one is kept.
--cold measures one thing and ends: milliseconds from the import of torch to the end of the first step.
"""
import time

started = time.perf_counter()

import argparse
import json
import os
import resource
import sys

parser = argparse.ArgumentParser()
parser.add_argument('definition')
parser.add_argument('--batches', type=int, default=2)
parser.add_argument('--threads', type=int, default=1)
parser.add_argument('--seconds', type=float, default=0.4)
parser.add_argument('--foreach', choices=['yes', 'no', 'auto'], default='auto')
parser.add_argument('--cold', action='store_true')
options = parser.parse_args()
case = json.loads(options.definition)
for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'BLIS_NUM_THREADS'):
    os.environ[variable] = str(options.threads)

import torch
from torch import nn

torch.set_num_threads(options.threads)
# Moments that decay into denormals would slow it down several times.
torch.set_flush_denormal(True)
torch.manual_seed(1)

ACTIVATIONS = {'relu': nn.ReLU, 'tanh': nn.Tanh, 'gelu': nn.GELU, 'sigmoid': nn.Sigmoid}


def network():
    sizes, layers = case['sizes'], []
    for position, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(inputs, units))
        if position < len(sizes) - 2:
            layers.append(ACTIVATIONS[case['hidden']]())
            if case['dropout'] > 0:
                layers.append(nn.Dropout(case['dropout']))
    if case['output'] != 'linear':
        layers.append(ACTIVATIONS[case['output']]())
    return nn.Sequential(*layers)


def batch():
    rows, features, outputs = case['batchSize'], case['sizes'][0], case['sizes'][-1]
    if case['features'] == 'xor':
        return torch.tensor([[0., 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([[0.], [1], [1], [0]])
    x = torch.randn(rows, features) if case['features'] == 'normal' else torch.rand(rows, features)
    return x, torch.randn(rows, outputs) if case['loss'] == 'meanSquaredError' else torch.randint(outputs, (rows,))


def optimizer_for(parameters, foreach):
    given = case['optimizer']
    if given['kind'] == 'sgd':
        return torch.optim.SGD(parameters, lr=given['learningRate'], momentum=given['momentum'], foreach=foreach)
    kind = torch.optim.Adam if given['kind'] == 'adam' else torch.optim.AdamW
    return kind(parameters, lr=given['learningRate'], eps=given['epsilon'], weight_decay=given['weightDecay'], foreach=foreach)


class Training:
    """A network in training. Its batches are made once and taken in turn: nothing is picked or shuffled in the time measured."""

    def __init__(self, foreach, batches):
        self.foreach = foreach
        self.model = network().train()
        self.loss = nn.functional.mse_loss if case['loss'] == 'meanSquaredError' else nn.functional.cross_entropy
        self.optimizer = optimizer_for(self.model.parameters(), foreach)
        self.batches = batches
        self.done = 0

    def step(self):
        x, y = self.batches[self.done % len(self.batches)]
        self.done += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model(x), y).backward()
        self.optimizer.step()

    def rate(self, seconds):
        """Steps per CPU second over about so many seconds: the processor may be shared."""
        count, cpu, wall = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() - wall < seconds:
            self.step()
            count += 1
        return count / (time.perf_counter() - wall if options.threads > 1 else time.process_time() - cpu)


def allowed_busy():
    """Seconds that the processors this process may run on have been busy, whoever used them; None where that cannot be known."""
    try:
        with open('/proc/stat') as lines:
            fields = {line.split()[0]: line.split()[1:] for line in lines if line.startswith('cpu')}
        allowed = os.sched_getaffinity(0)
    except (OSError, AttributeError):
        return None
    ticks = sum(sum(int(fields[f'cpu{n}'][i]) for i in (0, 1, 2, 5, 6, 7)) for n in allowed)
    return ticks / os.sysconf('SC_CLK_TCK'), len(allowed)


def peak_bytes():
    try:
        with open('/proc/self/status') as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def window(training):
    before, cpu, wall, steps = allowed_busy(), time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - wall < options.seconds:
        training.step()
        steps += 1
    wall, cpu, after = time.perf_counter() - wall, time.process_time() - cpu, allowed_busy()
    foreign = 0 if before is None else max(0, after[0] - before[0] - cpu) / (wall * after[1])
    return {
        'steps_per_s': steps / wall,
        'steps_per_cpu_s': steps / cpu,
        'disturbed': 1 - min(1, cpu / wall) if options.threads == 1 else min(1, foreign),
        'steps': steps,
        'peak_bytes': peak_bytes(),
    }


def say(message):
    print(json.dumps(message), flush=True)


if options.cold:
    Training(options.foreach != 'no', [batch()]).step()
    say({'milliseconds': (time.perf_counter() - started) * 1000, 'peak_bytes': peak_bytes()})
    sys.exit()

batches = [batch() for _ in range(options.batches)]
choices = {'yes': [True], 'no': [False], 'auto': [False, True]}[options.foreach]
candidates = [Training(foreach, batches) for foreach in choices]
for candidate in candidates:
    candidate.rate(options.seconds)
# In turn, and the best of each: what disturbs a window only makes it slower.
rates = [[candidate.rate(options.seconds / 4) for candidate in candidates] for _ in range(3 if len(candidates) > 1 else 0)]
best = max(candidates, key=lambda candidate: max((turn[candidates.index(candidate)] for turn in rates), default=0))
del candidates, candidate
window(best)
say({
    'ready': True, 'impl': f'PyTorch {torch.__version__}', 'note': '', 'case': case['name'], 'desc': case['what'], 'threads': options.threads,
    'batch': case['batchSize'], 'params': sum(p.numel() for p in best.model.parameters()), 'foreach': best.foreach,
})
for line in sys.stdin:
    if line.strip() == 'quit':
        break
    if line.strip() == 'go':
        say(window(best))
