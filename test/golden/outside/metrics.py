"""Writes metrics.json beside itself: what scikit-learn and SciPy give for the metrics of test/unit/nn/metrics.test.ts.

Run: python3 test/golden/outside/metrics.py
Made with Python 3.11, scikit-learn 1.2.1, SciPy 1.10.1, NumPy 1.24.2.

Specificity, the Brier score of several classes and the expected calibration error are not in scikit-learn; they are computed here from their
definitions (the first from scikit-learn's multilabel_confusion_matrix).
"""
import json
import math
import pathlib
import warnings

import numpy as np
from scipy import special, stats
from sklearn import calibration, metrics as sk
from sklearn.utils.class_weight import compute_class_weight

warnings.simplefilter("ignore")  # of undefined values, whose replacement is what we want to see
random = np.random.default_rng(4)


def plain(value):
    """JSON with ten digits; NaN and infinities as strings."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.10g}") if math.isfinite(value) else str(float(value))
    return value


def attempt(call, otherwise="nan"):
    """scikit-learn 1.2 refuses areas of a single class with a ValueError; later versions give NaN."""
    try:
        return call()
    except ValueError:
        return otherwise


def specificity(actual, predicted, labels, average):
    tables = sk.multilabel_confusion_matrix(actual, predicted, labels=labels)
    tn, fp, fn, tp = tables[:, 0, 0], tables[:, 0, 1], tables[:, 1, 0], tables[:, 1, 1]
    divide = lambda a, b: np.where(b == 0, 0.0, a / np.where(b == 0, 1, b))
    if average == "micro":
        return float(divide(tn.sum(), (tn + fp).sum()))
    values = divide(tn, tn + fp)
    return values.mean() if average == "macro" else (values * (tp + fn)).sum() / (tp + fn).sum()


def calibration_error(confidence, right, bins=15):
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    return sum(
        abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).mean() for b in range(bins) if (place == b).any()
    )


def shared(actual, predicted, labels):
    return {
        "accuracy": sk.accuracy_score(actual, predicted),
        "balancedAccuracy": sk.balanced_accuracy_score(actual, predicted),
        "matthewsCorrelation": sk.matthews_corrcoef(actual, predicted),
        "cohenKappa": sk.cohen_kappa_score(actual, predicted),
        "cohenKappa linear": sk.cohen_kappa_score(actual, predicted, labels=labels, weights="linear"),
        "cohenKappa quadratic": sk.cohen_kappa_score(actual, predicted, labels=labels, weights="quadratic"),
    }


def binary(logits, labels):
    logits, labels = np.array(logits, float), np.array(labels)
    p = special.expit(logits)
    yes = (logits > 0).astype(int)
    bold = (p > 0.3).astype(int)
    confidence = np.maximum(p, 1 - p)
    return {
        "logits": logits,
        "labels": labels,
        "expected": {
            **shared(labels, yes, [0, 1]),
            "precision": sk.precision_score(labels, yes),
            "recall": sk.recall_score(labels, yes),
            "f1": sk.f1_score(labels, yes),
            "fBeta 2": sk.fbeta_score(labels, yes, beta=2),
            "fBeta 0.5": sk.fbeta_score(labels, yes, beta=0.5),
            "specificity": sk.recall_score(labels, yes, pos_label=0),
            "accuracy at 0.3": sk.accuracy_score(labels, bold),
            "precision at 0.3": sk.precision_score(labels, bold),
            "recall at 0.3": sk.recall_score(labels, bold),
            "matthewsCorrelation at 0.3": sk.matthews_corrcoef(labels, bold),
            "rocAuc": attempt(lambda: sk.roc_auc_score(labels, logits)),
            "prAuc": sk.average_precision_score(labels, logits),
            # From logits: log_loss would clip probabilities of 0 and 1.
            "logLoss": np.mean(np.logaddexp(0, np.where(labels == 1, -logits, logits))),
            "brierScore": sk.brier_score_loss(labels, p) if len(set(labels)) > 1 else np.mean((p - labels) ** 2),
            "calibrationError": calibration_error(confidence, (yes == labels).astype(float)),
            "calibrationError of 4": calibration_error(confidence, (yes == labels).astype(float), 4),
        },
    }


def several(logits, labels, areas=True):
    logits, labels = np.array(logits, float), np.array(labels)
    classes = list(range(logits.shape[1]))
    p = special.softmax(logits, axis=1)
    predicted = logits.argmax(axis=1)
    rows = np.eye(len(classes))[labels]
    present = sorted(set(labels) | set(predicted))
    expected = {
        **shared(labels, predicted, classes),
        "logLoss": sk.log_loss(labels, p, labels=classes),
        "brierScore": np.mean(((p - rows) ** 2).sum(axis=1)),
        "calibrationError": calibration_error(p.max(axis=1), (predicted == labels).astype(float)),
        **{f"topKAccuracy {k}": sk.top_k_accuracy_score(labels, logits, k=k, labels=classes) for k in (2, 3) if k < len(classes)},
    }
    for average in ["macro", "micro", "weighted"]:
        expected[f"precision {average}"] = sk.precision_score(labels, predicted, average=average)
        expected[f"recall {average}"] = sk.recall_score(labels, predicted, average=average)
        expected[f"f1 {average}"] = sk.f1_score(labels, predicted, average=average)
        expected[f"fBeta {average}"] = sk.fbeta_score(labels, predicted, beta=2, average=average)
        expected[f"specificity {average}"] = specificity(labels, predicted, classes if average == "micro" else present, average)
    for k in classes:
        expected[f"precision {k}"] = sk.precision_score(labels, predicted, labels=[k], average=None)[0]
        expected[f"recall {k}"] = sk.recall_score(labels, predicted, labels=[k], average=None)[0]
        expected[f"f1 {k}"] = sk.f1_score(labels, predicted, labels=[k], average=None)[0]
    if areas:
        for average in ["macro", "weighted"]:
            expected[f"rocAuc {average}"] = sk.roc_auc_score(labels, p, multi_class="ovr", average=average)
            expected[f"prAuc {average}"] = sk.average_precision_score(rows, p, average=average)
    report = sk.classification_report(labels, predicted, output_dict=True)
    return {
        "logits": logits,
        "labels": labels,
        "predicted": predicted,
        "expected": expected,
        "confusion": sk.confusion_matrix(labels, predicted, labels=classes),
        "report": report,
        "weights": compute_class_weight("balanced", classes=np.unique(labels), y=labels),
    }


def columns(logits, labels):
    """Several questions of yes or no."""
    logits, labels = np.array(logits, float), np.array(labels)
    yes = (logits > 0).astype(int)
    expected = {"accuracy": np.mean(yes == labels)}
    for average in ["macro", "micro", "weighted"]:
        expected[f"precision {average}"] = sk.precision_score(labels, yes, average=average)
        expected[f"recall {average}"] = sk.recall_score(labels, yes, average=average)
        expected[f"f1 {average}"] = sk.f1_score(labels, yes, average=average)
    for average in ["macro", "weighted"]:
        expected[f"rocAuc {average}"] = sk.roc_auc_score(labels, logits, average=average)
        expected[f"prAuc {average}"] = sk.average_precision_score(labels, logits, average=average)
    return {"logits": logits, "labels": labels, "expected": expected}


def numbers(prediction, target):
    prediction, target = np.array(prediction, float), np.array(target, float)
    wide = prediction.ndim == 2
    of_outputs = lambda f: np.mean([f(prediction[:, i], target[:, i]) for i in range(prediction.shape[1])] if wide else [f(prediction, target)])
    expected = {
        "meanAbsoluteError": sk.mean_absolute_error(target, prediction),
        "meanSquaredError": sk.mean_squared_error(target, prediction),
        "rootMeanSquaredError": math.sqrt(sk.mean_squared_error(target, prediction)),
        "meanAbsolutePercentageError": 100 * sk.mean_absolute_percentage_error(target, prediction),
        "medianAbsoluteError": sk.median_absolute_error(target, prediction),
        "maxError": np.abs(prediction - target).max(),
        "r2Score": sk.r2_score(target, prediction),
        "explainedVariance": sk.explained_variance_score(target, prediction),
        "pearsonCorrelation": attempt(lambda: of_outputs(lambda p, t: stats.pearsonr(p, t)[0])),
        "spearmanCorrelation": attempt(lambda: of_outputs(lambda p, t: stats.spearmanr(p, t)[0])),
    }
    return {"prediction": prediction, "target": target, "expected": expected}


def curves(scores, labels):
    scores, labels = np.array(scores, float), np.array(labels)
    fpr, tpr, thresholds = sk.roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, descending = sk.precision_recall_curve(labels, scores)
    observed, predicted = calibration.calibration_curve(labels, scores, n_bins=10)
    return {
        "scores": scores,
        "labels": labels,
        "roc": {"falsePositiveRate": fpr, "truePositiveRate": tpr, "thresholds": thresholds[1:]},
        "precisionRecall": {"precision": precision, "recall": recall, "thresholds": descending},
        "calibration": {"observed": observed, "predicted": predicted},
    }


# Multiples of 1/8: exact in float32, with many ties.
rare = (random.random(1000) < 0.06).astype(int)
tied = np.round((random.normal(size=1000) * 1.5 - 1.5 + 2 * rare) * 8) / 8

skewed = random.choice(4, 1000, p=[0.7, 0.2, 0.07, 0.03])
spread = np.round(random.normal(size=(1000, 4)) + 1.2 * np.eye(4)[skewed], 3)
spread[900:] = spread[:100]  # equal rows: ties in every column

questions = np.column_stack([(random.random(120) < share).astype(int) for share in (0.5, 0.2, 0.05)])
answers = np.round((random.normal(size=(120, 3)) + questions) * 8) / 8

level = np.round(random.normal(size=1000) * 3 + 10, 2)
guess = np.round(0.8 * level + random.normal(size=1000) + 1, 2)
outputs = np.round(random.normal(size=(60, 3)) * [1, 5, 0.1] + [0, 100, -3], 3)

golden = {
    "binary": {
        "one true": binary([0.5], [1]),
        "one false": binary([0.5], [0]),
        "two of one kind": binary([-1, 2], [0, 0]),
        "two that are both missed": binary([-1, 2], [1, 0]),
        "nothing predicted": binary([-1, -2, -3], [1, 0, 1]),
        "six percent true, with ties": binary(tied, rare),
        "extreme logits": binary([-100, 100, 88, -88, 40, -40, 20, 100, -100, 17], [0, 1, 1, 0, 0, 1, 1, 0, 1, 1]),
    },
    "several": {
        "one": several([[0.5, 2, -1, 0]], [1], areas=False),
        "two": several([[0.5, 2, -1, 0], [3, 1, 0, 2]], [3, 0], areas=False),
        "absent and never predicted": several(
            np.column_stack([random.normal(size=(40, 2)), np.full(40, -9), random.normal(size=40) - 1]).round(3), random.choice([0, 1, 1, 4], 40) % 3, areas=False
        ),
        "skewed": several(spread, skewed),
        "extreme logits": several([[100, -100, 0], [-100, 100, 90], [0, 0.5, 100], [20, 50, -50]], [0, 2, 2, 1]),
    },
    "columns": columns(answers, questions),
    "regression": {
        "one": numbers([1.5], [1]),
        "one, exactly": numbers([1.5], [1.5]),
        "two": numbers([1, 3], [2, 2.5]),
        "a constant target": numbers([1, 2, 4], [0.5, 0.5, 0.5]),
        "a constant target, met": numbers([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
        "a constant prediction": numbers([2, 2, 2], [1, 2, 4]),
        "ties": numbers([1, 1, 2, 2, 3, 3, 0], [1, 2, 2, 2, 5, 4, 1]),
        "a thousand": numbers(guess, level),
        "three outputs": numbers(np.round(outputs + random.normal(size=(60, 3)) * [0.5, 1, 0.1], 3), outputs),
    },
    "curves": curves(np.round(special.expit(tied[:80] + 1), 2), rare[:80]),
}

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(plain(golden), separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
