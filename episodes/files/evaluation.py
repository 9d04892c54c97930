"""Compare the labels of a model with the codes of people.

The episodes "Evaluate against human codes" and "How sure, and how far off?" use it. Nothing here
sends a request.
"""

import numpy as np
import pandas as pd

TOPICS = ["health", "climate", "energy", "education", "equality", "none"]


def labelled_titles(log="data/labels.jsonl"):
    """All titles with their reference and the model's label, which is "missing" without one."""
    titles = pd.read_csv("data/titles.csv")
    labels = pd.read_json(log, lines=True)[["id", "label"]]
    titles = titles.merge(labels, on="id", how="left", validate="one_to_one")
    titles = titles.rename(columns={"topic_label": "reference", "label": "model"})
    titles["model"] = titles["model"].fillna("missing")
    return titles


def coded_titles(log="data/labels.jsonl"):
    """The titles that two people coded, with all four labels."""
    codes = pd.read_csv("data/codes.csv")
    return codes.merge(labelled_titles(log), on="id", validate="one_to_one")


def accuracy(data):
    """The share of the rows in which the model has the label of the reference."""
    return (data["reference"] == data["model"]).mean()


def f1(data, topic):
    """F1 of a topic: high only if both precision and recall are high."""
    is_topic = data["reference"] == topic
    says_topic = data["model"] == topic
    return 2 * (is_topic & says_topic).sum() / (is_topic.sum() + says_topic.sum())


def cohen_kappa(a, b):
    """Agreement of two columns of labels, corrected for chance."""
    observed = (a == b).mean()
    share_a = a.value_counts(normalize=True)
    share_b = b.value_counts(normalize=True)
    expected = (share_a * share_b).sum()
    return (observed - expected) / (1 - expected)


def interval(score, data, *more):
    """The 95 % bootstrap interval of any score(data, *more) that is one number."""
    if np.ndim(score(data, *more)) > 0:
        raise ValueError("the score has to be one number, such as a mean")
    values = []
    for seed in range(1000):
        again = data.sample(len(data), replace=True, random_state=seed)
        values.append(score(again, *more))
    # A rare label can be missing from a resample: 0 / 0 is nan, and left out.
    return np.nanquantile(values, [0.025, 0.975]).round(2)


def wilson(hits, n):
    """Wilson's 95 % interval for a share of hits in n, which may be 0 or n."""
    z = 1.96
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return np.round([middle - half, middle + half], 2)


def corrected_share(topic, sample, titles):
    """The share of a topic in all titles, by the model, corrected by a random sample of them.

    Returns the share and its standard error.
    """
    says_topic = (titles["model"] == topic).mean()
    missed = (sample["reference"] == topic) * 1 - (sample["model"] == topic) * 1
    return says_topic + missed.mean(), missed.std() / np.sqrt(len(sample))
