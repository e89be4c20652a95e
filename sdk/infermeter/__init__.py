"""Measuring instruments for machine-learning inference services, on OpenTelemetry.

The facade: names and where they live, nothing else. ``__all__`` is the contract. Importing it costs next to nothing:
each name is loaded when it is first used, OpenTelemetry only by ``configure()``.
"""

TYPE_CHECKING = False  # as typing spells it; importing typing would be most of this package's import time
if TYPE_CHECKING:
    from infermeter.drift.monitor import DriftMonitor, monitor_drift
    from infermeter.drift.reference import DriftReference
    from infermeter.errors import ConfigError, InfermeterError, MissingExtraError
    from infermeter.gpu.room import observe_gpus
    from infermeter.inference.batches import Batcher, batcher
    from infermeter.inference.calls import InferenceCall
    from infermeter.inference.generation import Generation, generation
    from infermeter.inference.instrument import InferenceInstrument, instrument_inference
    from infermeter.inference.load import observe_queue_depth, record_batch_size, record_queue_time, set_batch_limit
    from infermeter.inference.predictions import record_prediction, register_model
    from infermeter.pipelines import PipelineRun, pipeline_run
    from infermeter.runtime import Telemetry, configure, force_flush, is_configured, shutdown
    from infermeter.settings import Settings
    from infermeter.version import __version__

_HOMES = {
    "Batcher": "inference.batches",
    "ConfigError": "errors",
    "DriftMonitor": "drift.monitor",
    "DriftReference": "drift.reference",
    "Generation": "inference.generation",
    "InferenceCall": "inference.calls",
    "InferenceInstrument": "inference.instrument",
    "InfermeterError": "errors",
    "MissingExtraError": "errors",
    "PipelineRun": "pipelines",
    "Settings": "settings",
    "Telemetry": "runtime",
    "__version__": "version",
    "batcher": "inference.batches",
    "configure": "runtime",
    "force_flush": "runtime",
    "generation": "inference.generation",
    "instrument_inference": "inference.instrument",
    "is_configured": "runtime",
    "monitor_drift": "drift.monitor",
    "observe_gpus": "gpu.room",
    "observe_queue_depth": "inference.load",
    "pipeline_run": "pipelines",
    "record_batch_size": "inference.load",
    "record_prediction": "inference.predictions",
    "record_queue_time": "inference.load",
    "register_model": "inference.predictions",
    "set_batch_limit": "inference.load",
    "shutdown": "runtime",
}

__all__ = [
    "Batcher",
    "ConfigError",
    "DriftMonitor",
    "DriftReference",
    "Generation",
    "InferenceCall",
    "InferenceInstrument",
    "InfermeterError",
    "MissingExtraError",
    "PipelineRun",
    "Settings",
    "Telemetry",
    "__version__",
    "batcher",
    "configure",
    "force_flush",
    "generation",
    "instrument_inference",
    "is_configured",
    "monitor_drift",
    "observe_gpus",
    "observe_queue_depth",
    "pipeline_run",
    "record_batch_size",
    "record_prediction",
    "record_queue_time",
    "register_model",
    "set_batch_limit",
    "shutdown",
]


if not TYPE_CHECKING:  # a checker that saw it would take any name for a public one

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used (PEP 562)."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'infermeter' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"infermeter.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Show the contract, loaded or not."""
    return sorted({*globals(), *__all__})
