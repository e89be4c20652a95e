"""Everything this package may raise into an application, and only while it starts up.

Knows how a message names a setting; knows nothing of what the settings mean.
"""

from __future__ import annotations


class InfermeterError(Exception):
    """Base of all errors raised by this package."""


class ConfigError(InfermeterError, ValueError):
    """A setting has a value that is not allowed; the message names variable, argument, value and what is."""


class MissingExtraError(InfermeterError, ImportError):
    """A feature was asked for whose optional packages are not installed.

    Args:
        feature: What was asked for, in the user's words.
        extra: The extra that brings the packages, for example ``fastapi``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs the extra "{extra}": pip install "infermeter[{extra}]"')
        self.extra = extra
