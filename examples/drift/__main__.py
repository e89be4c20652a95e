"""A model whose inputs are compared with its training data, and a switch that makes one of them drift.

    cd examples
    OTEL_SERVICE_NAME=wine OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python -m drift
    python -m drift --drift alcohol --shift 1.5    # in standard deviations

What to see, in row 3 of the overview: with the switch `alcohol` far beyond 0.2, and the alert FeatureDrift a quarter of
an hour later; without it no alert. The same scores, of this run alone, are printed at the end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import infermeter
from infermeter.drift import scores

from . import model


def main() -> None:
    """Build the reference, serve some requests, and say what has drifted."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--drift", choices=model.FEATURES, metavar="FEATURE", help="feature to shift")
    options.add_argument("--shift", type=float, default=1.5, help="by how many standard deviations (default 1.5)")
    options.add_argument("--requests", type=int, default=1_000, help="how many to serve (default 1000)")
    options.add_argument("--rate", type=float, default=0, help="requests per second; 0 is as fast as it goes")
    chosen = options.parse_args()

    # A release ships the file beside the model: `infermeter baseline build` makes the same from a table of data.
    with tempfile.TemporaryDirectory() as folder:
        shipped = Path(folder) / f"{model.NAME}-{model.VERSION}.json"
        model.reference().save(shipped)
        monitor = infermeter.monitor_drift(model.NAME, shipped, version=model.VERSION, features=model.FEATURES)
        reference = infermeter.DriftReference.load(shipped)
    infermeter.configure()

    @infermeter.instrument_inference(model.NAME, version=model.VERSION, classes=model.GROWERS)
    @monitor.inputs("features")
    def predict(features: dict[str, float]) -> dict[str, object]:
        label, confidence = model.predict([features[name] for name in model.FEATURES])
        return {"label": label, "confidence": confidence}

    counts = [[0] * len(feature.bins) for feature in reference.inputs]
    rows = [row for seed in range(1 + chosen.requests // 50) for row in model.wines(seed)]
    for row in rows[: chosen.requests]:
        wine = dict(zip(model.FEATURES, row, strict=True))
        if chosen.drift:
            wine[chosen.drift] += chosen.shift * model.DEVIATION[chosen.drift]
        predict(wine)
        for count, feature in zip(counts, reference.inputs, strict=True):
            count[feature.index(wine[feature.name])] += 1
        if chosen.rate:
            time.sleep(1 / chosen.rate)
    infermeter.shutdown()

    for count, feature in zip(counts, reference.inputs, strict=True):
        beyond = scores.psi(count, feature.counts) - scores.psi_null(count, feature.counts)
        drifted = beyond > 0.2 and scores.chi_square_z(count, feature.counts) > 6
        print(f"{feature.name:30} PSI beyond chance {beyond:6.2f}  {'DRIFTED' if drifted else ''}")


if __name__ == "__main__":
    main()
