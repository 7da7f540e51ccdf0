"""Losses and their gradients with respect to the prediction, by PyTorch 1.13 in double precision.

Run: /usr/bin/python3 test/golden/outside/losses.py   (Debian's python3-torch 1.13.0 and python3-sklearn 1.2.1)

Writes losses.json beside it: cases of { loss, options, prediction, target, value, gradient, samples }. What PyTorch has is computed by PyTorch; the others
by their formula, with PyTorch's gradient. Where scikit-learn has a loss as well, the values are compared here.
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import hinge_loss, mean_pinball_loss

random = np.random.RandomState(7)
cases = []


def numbers(*shape, low=-3.0, high=3.0):
    """Multiples of 1/64, which float32 holds exactly."""
    return np.round(random.uniform(low, high, shape) * 64) / 64


def plain(x):
    return [plain(row) for row in x] if isinstance(x, (list, np.ndarray)) and np.ndim(x) > 0 else float("%.9g" % x)


def case(name, options, prediction, target, loss):
    """`loss(x, t)`, on tensors, gives the losses of the samples ([batch]) and the value of the batch."""
    x = torch.tensor(np.asarray(prediction), dtype=torch.float64, requires_grad=True)
    t = np.asarray(target)
    t = torch.tensor(t, dtype=torch.int64 if t.dtype.kind == "i" else torch.float64)
    samples, value = loss(x, t)
    value.backward()
    entry = {
        "loss": name,
        "options": options,
        "prediction": plain(np.asarray(prediction)),
        "target": np.asarray(target).tolist(),
        "value": plain(value.item()),
        "gradient": plain(x.grad.numpy()),
    }
    if samples is not None:
        entry["samples"] = plain(samples.detach().numpy())
    for number in np.ravel([entry["value"], *np.ravel(entry["gradient"])]):
        assert math.isfinite(number), (name, options)
    cases.append(entry)


def elements(values):
    """The mean over elements: of each sample, and of all."""
    return values.reshape(len(values), -1).mean(1), values.mean()


def extreme(rows):
    """Logits of both signs up to 100, some of them certain."""
    x = numbers(rows, 4)
    x[0] = [100, -100, 0, 1]
    x[1] = [-100, 100, 100, -100]
    x[2] = [1e-3, -1e-3, 30, -30]
    return x


hard = random.randint(0, 2, (6, 4)).astype(float)
hard[0] = [1, 0, 1, 0]
hard[1] = [1, 0, 1, 0]
soft = numbers(6, 4, low=0, high=1)

# Regression
x, t = numbers(5, 3), numbers(5, 3)
x[0, 0], t[0, 0] = 100, -100
case("meanSquaredError", {}, x, t, lambda x, t: elements(F.mse_loss(x, t, reduction="none")))
case("meanAbsoluteError", {}, x, t, lambda x, t: elements(F.l1_loss(x, t, reduction="none")))
for delta in (1, 2.5):
    case("huber", {"delta": delta}, x, t, lambda x, t: elements(F.huber_loss(x, t, reduction="none", delta=delta)))
case("logCosh", {}, x, t, lambda x, t: elements((x - t).abs() + F.softplus(-2 * (x - t).abs()) - math.log(2)))
case("meanAbsolutePercentageError", {}, x, t, lambda x, t: elements(100 * ((x - t) / t.abs().clamp(min=1e-7)).abs()))
positive = numbers(5, 3, low=0, high=9)
case(
    "meanSquaredLogarithmicError", {}, numbers(5, 3, low=0.1, high=9), positive,
    lambda x, t: elements((torch.log1p(x) - torch.log1p(t)) ** 2),
)
t2 = t.copy()
t2[1] = -9
t2[3, 1] = -9


def unmasked(values, t, mask):
    keep = t != mask
    return None, values[keep].mean()


case("meanSquaredError", {"maskValue": -9}, x, t2, lambda x, t: unmasked(F.mse_loss(x, t, reduction="none"), t, -9))
case("huber", {"maskValue": -9}, x, t2, lambda x, t: unmasked(F.huber_loss(x, t, reduction="none"), t, -9))
case("meanSquaredError", {"maskValue": -9}, x, np.full((5, 3), -9.0), lambda x, t: (None, 0 * x.sum()))
assert math.isnan(unmasked(F.mse_loss(torch.ones(2), torch.ones(2), reduction="none"), torch.ones(2), 1)[1])
# A slope that is infinite in float32 (e^100), where it does not count.
case(
    "poisson", {"maskValue": -1}, [[100.0, 1.0], [0.5, 2.0]], [[-1.0, 2.0], [1.0, 0.0]],
    lambda x, t: unmasked(F.poisson_nll_loss(x, t, reduction="none"), t, -1),
)
counts = random.randint(0, 6, (5, 3)).astype(float)
for log_input in (True, False):
    for full in (False, True):
        rates = numbers(5, 3) if log_input else numbers(5, 3, low=0.1, high=6)
        case(
            "poisson", {"logInput": log_input, "full": full}, rates, counts,
            lambda x, t: elements(F.poisson_nll_loss(x, t, log_input=log_input, full=full, eps=1e-8, reduction="none")),
        )
for full in (False, True):
    case(
        "gaussianNegativeLogLikelihood", {"full": full}, numbers(5, 6), t,
        lambda x, t: elements(F.gaussian_nll_loss(x[:, :3], t, x[:, 3:].exp(), full=full, reduction="none")),
    )


def pinball(q):
    return lambda x, t: elements(torch.maximum(q * (t - x), (q - 1) * (t - x)))


case("quantile", {"quantile": 0.9}, x, t, pinball(0.9))
case("quantile", {"quantile": [0.1, 0.5, 0.9]}, x, t[:, :1], pinball(torch.tensor([0.1, 0.5, 0.9])))
assert abs(mean_pinball_loss(t[:, 0], x[:, 0], alpha=0.9) - pinball(0.9)(torch.tensor(x[:, 0]), torch.tensor(t[:, 0]))[1]) < 1e-12
vectors, zero = numbers(4, 5), numbers(4, 5)
zero[2] = 0
case("cosineSimilarity", {}, vectors, zero, lambda x, t: elements(-F.cosine_similarity(x, t, dim=-1, eps=1e-8)))
case("cosineSimilarity", {}, numbers(3, 2, 4), numbers(3, 2, 4), lambda x, t: elements(-F.cosine_similarity(x, t, dim=-1, eps=1e-8)))
similar = np.array([[1.0], [0.0], [1.0], [0.0], [0.0]])
distances = np.array([[0.5], [0.25], [2.0], [3.0], [0.0]])
case("contrastive", {"margin": 1.5}, distances, similar, lambda x, t: elements(t * x**2 + (1 - t) * F.relu(1.5 - x) ** 2))

# Two classes
logits = extreme(6)
bce = F.binary_cross_entropy_with_logits
case("binaryCrossentropy", {}, logits, hard, lambda x, t: elements(bce(x, t, reduction="none")))
case("binaryCrossentropy", {}, logits, soft, lambda x, t: elements(bce(x, t, reduction="none")))
case("binaryCrossentropy", {"reduction": "sum"}, logits, hard, lambda x, t: (bce(x, t, reduction="none").mean(1), bce(x, t, reduction="none").mean(1).sum()))
case("binaryCrossentropy", {"labelSmoothing": 0.2}, logits, hard, lambda x, t: elements(bce(x, t * 0.8 + 0.1, reduction="none")))
case(
    "binaryCrossentropy", {"positiveWeight": 3}, logits, hard,
    lambda x, t: elements(bce(x, t, pos_weight=torch.tensor(3.0, dtype=torch.float64), reduction="none")),
)
weights = torch.tensor([1, 2, 0.5, 0], dtype=torch.float64)
case(
    "binaryCrossentropy", {"positiveWeight": weights.tolist()}, logits, soft,
    lambda x, t: elements(bce(x, t, pos_weight=weights, reduction="none")),
)
masked = hard.copy()
masked[1] = -1
masked[4, 2] = -1
case(
    "binaryCrossentropy", {"maskValue": -1}, logits, masked,
    lambda x, t: unmasked(bce(x, torch.where(t == -1, torch.zeros_like(t), t), reduction="none"), t, -1),
)


def focal(gamma, positive, negative):
    def loss(x, t):
        log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
        return elements(-positive * t * log_q.mul(gamma).exp() * log_p - negative * (1 - t) * log_p.mul(gamma).exp() * log_q)

    return loss


case("binaryFocalCrossentropy", {}, logits, hard, focal(2, 0.25, 0.75))
case("binaryFocalCrossentropy", {"gamma": 0.5, "alpha": "none"}, logits, soft, focal(0.5, 1, 1))
case("binaryFocalCrossentropy", {"gamma": 0, "alpha": "none"}, logits, hard, lambda x, t: elements(bce(x, t, reduction="none")))
case("hinge", {}, logits, hard, lambda x, t: elements(F.relu(1 - (2 * t - 1) * x)))
case("hinge", {}, numbers(6, 4), 2 * hard - 1, lambda x, t: elements(F.relu(1 - t * x)))
case("squaredHinge", {}, logits, hard, lambda x, t: elements(F.relu(1 - (2 * t - 1) * x) ** 2))
assert abs(hinge_loss(hard[:, 2], logits[:, 2]) - F.relu(1 - (2 * torch.tensor(hard[:, 2]) - 1) * torch.tensor(logits[:, 2])).mean()) < 1e-12

# Several classes
labels = np.array([0, 1, 2, 3, 1, 0])
one_hot = np.eye(4)[labels]
shares = soft / soft.sum(1, keepdims=True)
shares[5] = [0, 0, 1, 0]
shares = np.round(shares * 256) / 256
cross = F.cross_entropy
class_weights = torch.tensor([1, 5, 0.5, 2], dtype=torch.float64)


def rows(options):
    return lambda x, t: (cross(x, t, reduction="none", **options), cross(x, t, **options))


def summed(options):
    return lambda x, t: (cross(x, t, reduction="none", **options), cross(x, t, reduction="sum", **options))


for given, options in (({}, {}), ({"labelSmoothing": 0.1}, {"label_smoothing": 0.1})):
    case("categoricalCrossentropy", given, logits, one_hot, rows(options))
    case("categoricalCrossentropy", given, logits, shares, rows(options))
    case("sparseCategoricalCrossentropy", given, logits, labels, rows(options))
    weighted = {"classWeights": class_weights.tolist(), "reduction": "sum", **given}
    case("categoricalCrossentropy", weighted, logits, shares, summed({"weight": class_weights, **options}))
    case("sparseCategoricalCrossentropy", weighted, logits, labels, summed({"weight": class_weights, **options}))
ignored = np.array([0, -100, 2, -100, 1, 0])
padded = np.array([0, 3, 2, 0, 1, 0])
for given, options in (({}, {}), ({"labelSmoothing": 0.1}, {"label_smoothing": 0.1})):
    case("sparseCategoricalCrossentropy", {"ignoreIndex": -100, **given}, logits, ignored, rows({"ignore_index": -100, **options}))
    case("sparseCategoricalCrossentropy", {"ignoreIndex": 0, **given}, logits, padded, rows({"ignore_index": 0, **options}))
case(
    "sparseCategoricalCrossentropy", {"ignoreIndex": -100, "classWeights": class_weights.tolist(), "reduction": "sum"}, logits, ignored,
    summed({"ignore_index": -100, "weight": class_weights}),
)
nothing = np.full(6, -100)
assert torch.isnan(cross(torch.tensor(logits), torch.tensor(nothing)))
case("sparseCategoricalCrossentropy", {"ignoreIndex": -100}, logits, nothing, lambda x, t: (torch.zeros(6), 0 * x.sum()))


def over_time(options):
    """PyTorch has the classes on axis 1."""
    return lambda x, t: (None, cross(x.transpose(1, 2), t if t.dtype == torch.int64 else t.transpose(1, 2), **options))


sequences = numbers(3, 5, 4)
steps = random.randint(0, 4, (3, 5))
case("sparseCategoricalCrossentropy", {}, sequences, steps, over_time({}))
case("categoricalCrossentropy", {}, sequences, np.eye(4)[steps], over_time({}))
steps = steps.copy()
steps[0] = -100
steps[1, 2:] = -100
case("sparseCategoricalCrossentropy", {"ignoreIndex": -100}, sequences, steps, over_time({"ignore_index": -100}))


def categorical_focal(gamma, alpha):
    def loss(x, t):
        t = F.one_hot(t.clamp(min=0), 4) * (t >= 0).unsqueeze(-1) if t.dtype == torch.int64 else t
        log_p = F.log_softmax(x, -1)
        losses = -(alpha * t * torch.pow(-torch.expm1(log_p), gamma) * log_p).sum(-1)
        return losses, losses.sum() / (t.sum(-1) > 0).sum()

    return loss


mild = numbers(6, 4)
case("categoricalFocalCrossentropy", {}, mild, shares, categorical_focal(2, 1))
case("categoricalFocalCrossentropy", {"gamma": 3.5, "alpha": class_weights.tolist()}, logits, one_hot, categorical_focal(3.5, class_weights))
case("sparseCategoricalFocalCrossentropy", {}, logits, labels, categorical_focal(2, 1))
case("sparseCategoricalFocalCrossentropy", {"gamma": 0.5}, mild, labels, categorical_focal(0.5, 1))
case(
    "sparseCategoricalFocalCrossentropy", {"gamma": 1, "alpha": class_weights.tolist(), "ignoreIndex": -100}, logits, ignored,
    categorical_focal(1, class_weights),
)
case("klDivergence", {}, logits, shares, lambda x, t: (F.kl_div(F.log_softmax(x, -1), t, reduction="none").sum(-1), F.kl_div(F.log_softmax(x, -1), t, reduction="batchmean")))


def crammer_singer(x, t):
    other = torch.where(t > 0.5, torch.full_like(x, -math.inf), x).max(-1).values
    losses = F.relu(1 + other - (t * x).sum(-1))
    return losses, losses.mean()


case("categoricalHinge", {}, logits, one_hot, crammer_singer)
assert abs(hinge_loss(labels, logits) - crammer_singer(torch.tensor(logits), torch.tensor(one_hot))[1]) < 1e-12

# Embeddings
triplets = numbers(5, 3, 4)
case(
    "tripletMargin", {"margin": 0.75}, triplets, np.zeros(5),
    lambda x, t: (F.triplet_margin_loss(x[:, 0], x[:, 1], x[:, 2], margin=0.75, eps=0, reduction="none"), F.triplet_margin_loss(x[:, 0], x[:, 1], x[:, 2], margin=0.75, eps=0)),
)


def batch_hard(cost):
    def loss(x, t):
        losses = []
        for i in range(len(x)):
            near = [(x[i] - x[j]).norm() for j in range(len(x)) if j != i and t[j] == t[i]]
            far = [(x[i] - x[j]).norm() for j in range(len(x)) if t[j] != t[i]]
            losses.append(cost(max(near) - min(far)) if near and far else torch.zeros(()))
        counted = sum(1 for i in range(len(x)) if (t == t[i]).sum() > 1 and (t != t[i]).any())
        return torch.stack([loss.double() for loss in losses]), sum(losses) / max(counted, 1) + 0 * x.sum()

    return loss


embeddings, people = numbers(7, 4), np.array([3, 1, 3, 1, 9, 3, 1])
case("triplet", {}, embeddings, people, batch_hard(lambda excess: F.relu(excess + 1)))
case("triplet", {"margin": "soft"}, embeddings, people, batch_hard(F.softplus))
case("triplet", {}, embeddings[:3], np.array([4, 4, 4]), batch_hard(lambda excess: F.relu(excess + 1)))

path = os.path.join(os.path.dirname(__file__), "losses.json")
with open(path, "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in cases) + "\n]\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
