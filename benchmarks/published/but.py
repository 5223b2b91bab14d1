"""A but B: is a reader of sentences better for the rule, and when does the gain arise?

python -m benchmarks.published.but [--data FOLDER] [WORD ...]

On a grammar whose law is known and on the film reviews of two papers: a network that learns from
labels alone and one that also learns from the rule's teacher, each asked with the rule and without.
A sentence counts as A but B when words follow its last "but" and some stand before it.

SST-2: the whole sentences of the training part, and those of the test part. Hu et al. 2016 add the
phrases of the training part and begin with word vectors learnt from news; here the vectors are
random and far shorter. The setting was chosen by the baseline's score on the dev part, in three
runs, one seed each; the last epoch counts. rt-polarity has no test part: its sentences are cut once
into ten parts at random, and each seed holds another one out. On the grammar each seed draws its
own sentences. Their code tilts by λ σ_B(y), their paper by half of that: their λ = 6 is 12 here.

Each set is recorded when its ten seeds are done, and one that stands in the record with the same
setting is not run again: delete the record when code has changed. With words only the sets whose
name holds one of them are run, for instance "grammar".
"""

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from benchmarks import record
from genlab import data
from genlab.data import Reviews
from genlab.knowledge import Reviewer, Vocabulary, accuracies, compare

NAME, SEEDS = "published_but", 10
GRAMMAR = {"dims": 16, "dropout": 0.5, "epochs": 15, "lr": 2e-3, "weight": 6.0}
REVIEWS = {"dims": 64, "dropout": 0.4, "epochs": 10, "lr": 2e-3, "weight": 12.0}
READERS = {  # as `compare` calls them, and as a reader of the record would
    "baseline": "labels only, p",
    "baseline, projected": "labels only, asked with the rule",
    "student": "distilled, p",
    "teacher": "distilled, q",
}
PARTS = {"all": "all", "but": "A but B", "rest": "the rest"}
HU = "Hu et al. 2016, table 1: word vectors learnt from news"
PUBLISHED = {  # by set and reader, per cent right of all test sentences
    "SST-2": {"baseline": 87.2, "student": 88.8, "teacher": 89.3},
    "rt-polarity": {"teacher": 81.7},
    "grammar": {},
}

Split = tuple[Reviews, Reviews]


# The sets: what each seed trains on and is asked --------------------------------------------------


def grammar(_: Path | None) -> Iterator[tuple[torch.Generator, Split]]:
    """New sentences for each seed."""
    for seed in range(SEEDS):
        g = torch.Generator().manual_seed(seed)
        yield g, (Reviewer().sample(800, generator=g), Reviewer().sample(2000, generator=g))


def sst2(folder: Path | None) -> Iterator[tuple[torch.Generator, Split]]:
    """The same sentences for each seed."""
    parts = data.movie_reviews("sst2", folder)
    for seed in range(SEEDS):
        yield torch.Generator().manual_seed(seed), (parts["train"], parts["test"])


def rt_polarity(folder: Path | None) -> Iterator[tuple[torch.Generator, Split]]:
    """Each seed holds out one of ten parts."""
    every = data.movie_reviews("rt-polarity", folder)["all"]
    order = torch.randperm(len(every.labels), generator=torch.Generator().manual_seed(0))
    parts = order.tensor_split(SEEDS)
    for seed, held in enumerate(parts):
        kept = torch.cat([part for part in parts if part is not held])
        yield torch.Generator().manual_seed(seed), (chosen(every, kept), chosen(every, held))


def chosen(reviews: Reviews, rows: Tensor) -> Reviews:
    return Reviews(tuple(reviews.sentences[i] for i in rows), reviews.labels[rows])


SETS = {  # by name: the splits, the options of `compare`, what the setting says of them, minutes
    "grammar": (grammar, GRAMMAR, "800 sentences, test 2,000, drawn anew for each seed", 1),
    "SST-2": (sst2, REVIEWS, "6,920 sentences, test 1,821", 7),
    "rt-polarity": (rt_polarity, REVIEWS, "nine tenths of 10,662 sentences, test the tenth", 10),
}


# The runs -----------------------------------------------------------------------------------------


def has_but(reviews: Reviews) -> Tensor:
    """Where words follow the last "but"."""
    return Vocabulary([]).encode(reviews.sentences)[:, 1].bool().any(1)


def asked(name: str, g: torch.Generator, split: Split, options: dict) -> dict[str, float]:
    """One seed: per cent right, by reader and part, and the seconds."""
    start = time.process_time()
    found = compare(*split, generator=g, **options)
    seconds = time.process_time() - start
    named = {READERS[reader]: shares for reader, shares in found.items()}
    if name == "grammar":
        p = Reviewer().posterior(split[1].sentences)
        q = torch.stack([1 - p, p], 1)
        named["who knows the grammar"] = accuracies(q, split[1].labels, has_but(split[1]))
    return {
        f"{reader}: {PARTS[part]}": 100 * share
        for reader, shares in named.items()
        for part, share in shares.items()
    } | {"CPU seconds of a seed": seconds}


def setting(name: str) -> dict:
    _, options, sentences, _ = SETS[name]
    return {
        "trained on": sentences,
        "words as vectors of": options["dims"],
        "filters": "16 of each of 1, 2, 3 words",
        "dropout": options["dropout"],
        "λ": options["weight"],
        "π at epoch t": "1 − 0.95^t",
        "epochs": options["epochs"],
        "batch": 50,
        "learning rate": options["lr"],
        "seeds": f"0 to {SEEDS - 1}",
        "figures": "per cent right",
    }


def measured(name: str, splits: Callable, options: dict, folder: Path | None) -> dict:
    rows, buts = [], []
    for g, split in splits(folder):
        rows.append(asked(name, g, split, options))
        buts.append(int(has_but(split[1]).sum()))
        print(f"  {name}, seed {len(rows) - 1}:", end="")
        print(*(f" {key} {value:.1f};" for key, value in rows[-1].items()), flush=True)
    found = {key: [row[key] for row in rows] for key in rows[0]}
    gains = {
        f"{reader}: {part}": [
            value - before
            for value, before in zip(
                found[f"{reader}: {part}"], found[f"{READERS['baseline']}: {part}"], strict=True
            )
        ]
        for reader in list(READERS.values())[1:]
        for part in PARTS.values()
    }
    return {
        "what": f"A but B, {name}",
        "setting": setting(name),
        "published": [
            {
                "what": f"{READERS[reader]}: all",
                "here": mean(found[f"{READERS[reader]}: all"]),
                "published": figure,
                "source": HU,
            }
            for reader, figure in PUBLISHED[name].items()
        ],
        "repetitions": found,
        "standard_deviation": {key: stdev(values) for key, values in found.items()},
        "gain_over_labels_only": {key: mean(values) for key, values in gains.items()},
        "standard_deviation_of_the_gain": {key: stdev(values) for key, values in gains.items()},
        "test_sentences_A_but_B_in_the_mean": mean(buts),
        "targets": [],
    }


# The record ---------------------------------------------------------------------------------------


def kept() -> dict[str, dict]:
    """The measurements that stand in the record by now, by heading."""
    path = record.ROOT / "benchmarks" / "results" / f"{NAME}.json"
    text = path.read_text(encoding="utf8") if path.exists() else '{"measurements": []}'
    return {m["what"]: m for m in json.loads(text)["measurements"]}


def main() -> None:
    parser = ArgumentParser(description="A but B: with the rule and without.")
    parser.add_argument("--data", type=Path, help="folder of data sets; default: GENLAB_DATA")
    parser.add_argument("words", nargs="*", help="only sets whose name holds one of these")
    options = parser.parse_args()
    done = {what: m["setting"] for what, m in kept().items()}
    plan = {
        name: found
        for name, found in SETS.items()
        if not options.words or any(word in name for word in options.words)
        if done.get(f"A but B, {name}") != setting(name)
    }
    minutes = sum(found[-1] for found in plan.values())
    print(
        f"{', '.join(plan) or 'Nothing to run'}: about {minutes} minutes on an idle core.",
        flush=True,
    )
    record.one_thread()
    environment = record.environment("genlab", "torch", "numpy")
    torch.optim.Adam([torch.zeros(1)])  # the first optimizer spends 4 s on imports
    for name, (splits, how, _, minutes) in plan.items():
        print(f"{name}: about {60 * minutes} seconds.", flush=True)
        measurement = measured(name, splits, how, options.data)
        done = kept() | {measurement["what"]: measurement}
        order = [done[key] for each in SETS if (key := f"A but B, {each}") in done]
        family = {"family": "published: A but B"}
        record.save(NAME, {**family, **environment, "measurements": order})
        record.show(measurement)
        for key, value in measurement["standard_deviation"].items():
            print(f"  {key}: {mean(measurement['repetitions'][key]):.2f} ± {value:.2f}", flush=True)


if __name__ == "__main__":
    main()
