"""Measuring instruments for machine-learning inference services, on OpenTelemetry.

The facade: names and where they live, nothing else. ``__all__`` is the contract. Importing it costs next to nothing:
each name is loaded when it is first used, OpenTelemetry only by ``configure()``.
"""

TYPE_CHECKING = False  # as typing spells it; importing typing would be most of this package's import time
if TYPE_CHECKING:
    from infermeter.errors import ConfigError, InfermeterError, MissingExtraError
    from infermeter.inference.calls import InferenceCall
    from infermeter.inference.instrument import InferenceInstrument, instrument_inference
    from infermeter.inference.predictions import record_prediction, register_model
    from infermeter.runtime import Telemetry, configure, force_flush, is_configured, shutdown
    from infermeter.settings import Settings
    from infermeter.version import __version__

_HOMES = {
    "ConfigError": "errors",
    "InferenceCall": "inference.calls",
    "InferenceInstrument": "inference.instrument",
    "InfermeterError": "errors",
    "MissingExtraError": "errors",
    "Settings": "settings",
    "Telemetry": "runtime",
    "__version__": "version",
    "configure": "runtime",
    "force_flush": "runtime",
    "instrument_inference": "inference.instrument",
    "is_configured": "runtime",
    "record_prediction": "inference.predictions",
    "register_model": "inference.predictions",
    "shutdown": "runtime",
}

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
