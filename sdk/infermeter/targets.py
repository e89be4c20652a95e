"""What requests count as: a model and version, named by the service or by the path, and the cell that holds it.

Knows the scope of an ASGI request, and neither messages nor frameworks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from infermeter import models, runtime
from infermeter.cells import ModelCell
from infermeter.labels import label_value
from infermeter.request_bodies import PassingBody

Scope = MutableMapping[str, Any]

_REMEMBERED_CELLS = 4096
"""Cells that one route remembers; past it, it starts over."""


OnBody = Callable[[tuple[str, str], PassingBody], None]
"""Counts what is in the body of a request to a model and version."""


class Target:
    """What requests to one route count as.

    Args:
        model: Model of requests whose path names none, and of answers that must not create labels.
        version: The same for the version.
        model_parameter: Path parameter whose value is the model; empty if the path names none.
        version_parameter: Path parameter whose value is the version; empty if the path names none.
        is_declared: The service named model and version itself, so even a 404 counts, as rejected.
        on_body: Gets the body of each request that was not turned away, once it is answered.
    """

    __slots__ = ("_cell", "_cells", "_epoch", "_parameters", "handler_records", "is_declared", "on_body", "own")

    def __init__(
        self,
        model: str,
        version: str = "",
        *,
        model_parameter: str = "",
        version_parameter: str = "",
        is_declared: bool = False,
        on_body: OnBody | None = None,
    ) -> None:
        self.on_body = on_body
        self.own = (label_value(model), label_value(version))
        self._parameters = (model_parameter, version_parameter) if model_parameter or version_parameter else None
        self.is_declared = is_declared
        self.handler_records = False
        self._epoch: object = None
        self._cells: dict[tuple[str, str], ModelCell] = {}
        self._cell: ModelCell | None = None

    def known_cell(self, scope: Scope) -> ModelCell | None:
        """Return where a request will be counted if it ends well, or None if that is not certain before it does."""
        if self._epoch is runtime.epoch:
            if self._parameters is not None:
                return self._cells.get(self._named(scope, self._parameters))
            if self._cell is not None:
                return self._cell
        return self._look_up(self.own) if self._parameters is None else None

    def cell(self, scope: Scope, http_status: int | None) -> ModelCell | None:
        """Return where an answered request is counted; None if it is not an inference."""
        if http_status == 405 or (http_status == 404 and not self.is_declared):
            return None
        if self._parameters is None:
            return self.known_cell(scope)
        pair = self._named(scope, self._parameters)
        if http_status in (404, 422):
            pair = self.own
        elif http_status is not None and 400 <= http_status <= 499 and not self._is_known(pair):
            pair = self.own  # turned away, perhaps before anybody looked at the name: it must not become a label
        cell = self._cells.get(pair) if self._epoch is runtime.epoch else None
        return cell or self._look_up(pair)

    def named(self, scope: Scope) -> tuple[str, str]:
        """Return model and version of a request that was not turned away."""
        return self.own if self._parameters is None else self._named(scope, self._parameters)

    def _named(self, scope: Scope, parameters: tuple[str, str]) -> tuple[str, str]:
        """Return model and version as the path names them."""
        given: Mapping[str, object] = scope.get("path_params") or {}
        by_model, by_version = parameters
        model, version = self.own
        if by_model in given:
            model = label_value(given[by_model]) or model
        if by_version in given:
            version = label_value(given[by_version]) or version
        return model, version

    def _is_known(self, pair: tuple[str, str]) -> bool:
        return pair in self._cells or any(declared[:2] == pair for declared in models.declarations())

    def _look_up(self, pair: tuple[str, str]) -> ModelCell | None:
        """Find a cell in the live configuration; the slow path after each change of it."""
        epoch, telemetry = runtime.epoch, runtime.live
        if telemetry is None:
            return None
        if epoch is not self._epoch or len(self._cells) >= _REMEMBERED_CELLS:
            self._cells, self._cell, self._epoch = {}, None, epoch
        cell = self._cells[pair] = telemetry.slot(*pair).cell
        if self._parameters is None:
            self._cell = cell
        return cell


TargetOf = Callable[[Scope], "Target | None"]
"""Says what a request counts as, from what routing has left in its scope; None while unrouted, or for no inference."""
