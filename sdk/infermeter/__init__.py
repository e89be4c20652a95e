"""Measuring instruments for machine-learning inference services, on OpenTelemetry.

The facade: re-exports, nothing else. ``__all__`` is the contract. Importing it loads no OpenTelemetry module.
"""

from infermeter.errors import ConfigError, InfermeterError, MissingExtraError
from infermeter.inference.calls import InferenceCall
from infermeter.inference.instrument import InferenceInstrument, instrument_inference
from infermeter.inference.predictions import record_prediction, register_model
from infermeter.runtime import Telemetry, configure, force_flush, is_configured, shutdown
from infermeter.settings import Settings
from infermeter.version import __version__

__all__ = [
    "ConfigError",
    "InferenceCall",
    "InferenceInstrument",
    "InfermeterError",
    "MissingExtraError",
    "Settings",
    "Telemetry",
    "__version__",
    "configure",
    "force_flush",
    "instrument_inference",
    "is_configured",
    "record_prediction",
    "register_model",
    "shutdown",
]
