"""Writes reference.json with Flower's partitioners and scikit-learn: pip install -r requirements.txt; python generate.py"""

import json
import warnings
from pathlib import Path

import numpy as np
from datasets import Dataset, disable_progress_bars
from flwr_datasets.partitioner import (
    ContinuousPartitioner,
    DirichletPartitioner,
    DistributionPartitioner,
    ExponentialPartitioner,
    GroupedNaturalIdPartitioner,
    IidPartitioner,
    InnerDirichletPartitioner,
    LinearPartitioner,
    NaturalIdPartitioner,
    PathologicalPartitioner,
    ShardPartitioner,
    SquarePartitioner,
)
from sklearn.cluster import KMeans

disable_progress_bars()
warnings.simplefilter("ignore")


def clients(partitioner, **columns):
    """The indices of each client, ascending."""
    size = len(next(iter(columns.values())))
    partitioner.dataset = Dataset.from_dict({"index": list(range(size)), **columns})
    return [sorted(partitioner.load_partition(k)["index"]) for k in range(partitioner.num_partitions)]


def counts(held, labels, num_classes):
    return [[sum(labels[i] == c for i in indices) for c in range(num_classes)] for indices in held]


def growth():
    kinds = [("linear", LinearPartitioner), ("square", SquarePartitioner), ("exponential", ExponentialPartitioner)]
    for kind, make in kinds:
        for size, k in [(1, 1), (7, 2), (100, 4), (101, 4), (1000, 6), (5741, 7), (10007, 9), (60000, 10), (99991, 11)]:
            sizes = [len(each) for each in clients(make(k), x=[0] * size)]
            yield {"kind": kind, "numExamples": size, "numClients": k, "sizes": sizes}


def equal():
    for size, k in [(10, 3), (7, 7), (100, 9)]:
        yield {"numExamples": size, "numClients": k, "sizes": [len(each) for each in clients(IidPartitioner(k), x=[0] * size)]}


def shards():
    labels = [(i * i) % 7 % 4 for i in range(103)]
    cases = [
        {"num_shards_per_partition": 2},
        {"num_shards_per_partition": 2, "shard_size": 5},
        {"num_shards_per_partition": 1, "shard_size": 10},
        {"num_shards_per_partition": 3},
        {"shard_size": 5},
        {"shard_size": 5, "keep_incomplete_shard": True},
        {"shard_size": 9, "keep_incomplete_shard": True},
        {"num_shards_per_partition": 2, "keep_incomplete_shard": True},
    ]
    for options in cases:
        held = clients(ShardPartitioner(num_partitions=10, partition_by="label", **options), label=labels)
        sizes = sorted(len(each) for each in held)
        yield {"options": options, "sizes": sizes, "labels": labels}


def natural():
    keys = ["bob", "ann", "bob", "\U00010000", "\uffff", "10", "9", "é", "ann ", "ann", "10", "z", "Z", "", "bob"]
    keys = [key or "empty" for key in keys]
    yield {"keys": keys, "options": None, "clients": clients(NaturalIdPartitioner("key"), key=keys)}
    modes = [("allow-smaller", 1, False), ("allow-smaller", 4, False), ("allow-smaller", 40, True),
             ("allow-bigger", 4, False), ("allow-bigger", 3, True), ("drop-reminder", 4, True),
             ("drop-reminder", 3, False), ("strict", 11, False), ("strict", 1, True)]
    for mode, group_size, ordered in modes:
        partitioner = GroupedNaturalIdPartitioner("key", group_size, mode, ordered)
        options = {"groupSize": group_size, "mode": mode.replace("reminder", "remainder"), "sortKeys": ordered}
        yield {"keys": keys, "options": options, "clients": clients(partitioner, key=keys)}


def pathological():
    labels = [(i * i) % 13 % 5 for i in range(200)]
    for k, classes in [(5, 2), (7, 3), (10, 1), (3, 5), (2, 1)]:
        held = clients(PathologicalPartitioner(k, "label", classes, "deterministic"), label=labels)
        yield {"labels": labels, "numClients": k, "classesPerClient": classes, "counts": counts(held, labels, 5)}


def distributions():
    labels = [i % 3 for i in range(300)]
    cases = [
        (6, 2, [[1, 1, 1, 1], [4, 3, 2, 1], [10, 0.5, 0.25, 0.25]], 5, True),
        (3, 1, [[2], [3], [5]], 0, True),
        (3, 2, [[1, 3], [1, 1], [7, 1]], 10, True),
        (3, 3, [[1, 1, 1], [1, 2, 4], [3, 5, 7]], 3, True),
        (6, 2, [[10, 20, 30, 40], [1, 2, 3, 4], [25, 25, 25, 25]], 0, False),
    ]
    for k, classes, table, least, rescale in cases:
        partitioner = DistributionPartitioner(np.array(table), k, classes, "label", least, rescale)
        held = clients(partitioner, label=labels)
        yield {
            "labels": labels, "numClients": k, "classesPerClient": classes, "distribution": table,
            "minPerClass": least, "rescale": rescale, "counts": counts(held, labels, 3),
        }


def continuous():
    values = [((i * 37) % 101) / 7 for i in range(50)]
    for k in [1, 4, 7, 50]:
        yield {"values": values, "numClients": k, "clients": clients(ContinuousPartitioner(k, "value", 1.0), value=values)}


def measures(held, labels, num_classes):
    """Mean distance from the global label shares, mean effective number of classes, largest and smallest size."""
    rows = np.array(counts(held, labels, num_classes), dtype=float)
    rows = rows[rows.sum(axis=1) > 0]
    shares = rows / rows.sum(axis=1, keepdims=True)
    whole = rows.sum(axis=0) / rows.sum()
    logs = np.log(np.where(shares > 0, shares, 1))
    sizes = [len(each) for each in held]
    return [
        np.abs(shares - whole).sum(axis=1).mean() / 2,
        np.exp(-(shares * logs).sum(axis=1)).mean(),
        max(sizes),
        min(sizes),
    ]


def statistics():
    """Means over seeds and their standard errors."""
    labels = [min(i % 7, 4) for i in range(1000)]  # the last class is three times as frequent
    runs = 150
    cases = []
    for alpha in [0.5, 1.0, 10.0]:  # for smaller ones it draws again and again until no client is empty, which skews the means
        for balancing in [False, True]:
            options = {"numClients": 10, "alpha": alpha, "selfBalancing": balancing}
            make = lambda seed, a=alpha, b=balancing: DirichletPartitioner(10, "label", a, 1, b, seed=seed)
            cases.append(("dirichlet", options, make))
    for alpha in [0.1, 1.0, [0.1, 0.1, 1.0, 1.0, 10.0]]:
        for sizes in [[100] * 10, [20] * 5 + [100] * 5]:
            make = lambda seed, a=alpha, s=sizes: InnerDirichletPartitioner(list(s), "label", a, seed=seed)
            cases.append(("inner-dirichlet", {"sizes": sizes, "alpha": alpha}, make))
    for mode in ["random", "first-deterministic"]:
        options = {"numClients": 10, "classesPerClient": 2, "assignment": mode}
        make = lambda seed, m=mode: PathologicalPartitioner(10, "label", 2, m, seed=seed)
        cases.append(("pathological", options, make))
    make = lambda seed: ShardPartitioner(10, "label", 2, seed=seed)
    cases.append(("shard", {"numClients": 10, "shardsPerClient": 2}, make))
    make = lambda seed: ContinuousPartitioner(10, "label", 0.7, seed=seed)
    cases.append(("continuous", {"numClients": 10, "strictness": 0.7}, make))
    for kind, options, make in cases:
        found = []
        for seed in range(3 * runs):
            if len(found) == runs:
                break
            try:
                found.append(measures(clients(make(seed), label=labels), labels, 5))
            except ValueError as error:  # it gives up where a client gets too little ten times
                assert "attempts" in str(error), error
        found = np.array(found)
        errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        yield {
            "kind": kind, "options": options, "labels": labels, "runs": len(found),
            "means": found.mean(axis=0).tolist(), "errors": errors.tolist(),
        }


def k_means():
    draw = np.random.default_rng(3)
    for size, width, k in [(20, 1, 3), (60, 5, 4), (200, 3, 7)]:
        points = draw.normal(size=(size, width)) + 3 * draw.integers(0, k, size=(size, 1))
        points = points.astype(np.float32).astype(np.float64)
        centers = points[:k]
        fitted = KMeans(k, init=centers, n_init=1, tol=0, algorithm="lloyd").fit(points)
        yield {
            "data": points.ravel().tolist(), "size": width, "numClusters": k, "labels": fitted.labels_.tolist(),
            "inertia": fitted.inertia_, "centers": fitted.cluster_centers_.ravel().tolist(),
        }


parts = [growth, equal, shards, natural, pathological, distributions, continuous, statistics, k_means]
reference = {part.__name__: list(part()) for part in parts}
Path(__file__).with_name("reference.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")
