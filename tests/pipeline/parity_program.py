"""A program whose series are the same each time it runs: fixed latencies, every kind of outcome; then it stays.

    python parity_program.py

Run by test_parity.py, once for each way out. Only the model `clocked` is timed by a real clock. Prints `recorded` when
everything is counted, with the URL of /metrics where there is one, and leaves when its standard input closes.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import infermeter
from infermeter import instrument_inference, record_prediction, register_model

LATENCIES_S = (0.004, 0.01, 0.0101, 0.03, 0.2, 0.25, 0.9, 1.0, 2.5, 7.0)


def main() -> None:
    """Record, and wait to be read."""
    telemetry = infermeter.configure()
    register_model("fraud", version="1", sla_s=0.2, classes=["fraud", "legitimate"], framework="sklearn")
    register_model("fraud", version="2", sla_s=0.2, latency_bounds_s=[0.1, 1.0, 10.0])
    for version in ("1", "2"):
        fraud = instrument_inference("fraud", version=version)
        for number, latency_s in enumerate(LATENCIES_S * 7):
            fraud.record(latency_s, confidence=number % 11 / 10)
        for status in ("error", "error", "timeout", "cancelled", "rejected"):
            fraud.record(0.02, status=status)
    record_prediction("fraud", label=["fraud", "legitimate", "legitimate"], version="1")
    record_prediction("fraud", label='un"usual\\ \n label', version="1")
    record_prediction("fraud", confidence=float("nan"), version="1")
    record_prediction("fraud", confidence="high", version="1")
    instrument_inference("unversioned").record(0.3)
    instrument_inference("größe/mit leer").record(0.3)
    with suppress(ValueError), instrument_inference("clocked", version="1"):
        raise ValueError("no features")
    infermeter.force_flush()
    print(f"recorded {telemetry.metrics_url or ''}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
