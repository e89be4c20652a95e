"""What a scenario needs around it: a running stack, the fleet on it, rules of the right speed; and putting that back.

Starts only what is missing. Knows no scenario.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from infermeter.cli.demo.alerts import Prometheus
from infermeter.cli.demo.scenarios import NAMESPACE
from infermeter.cli.demo.speeds import change_speed, speed_of
from infermeter.cli.exit_codes import ExitCode
from infermeter.cli.stack.failures import StackError
from infermeter.cli.stack.fleet import FLEET, fleet_part, read_speed, write_control
from infermeter.cli.stack.locks import locked
from infermeter.cli.stack.options import StackOptions
from infermeter.cli.stack.parts import environment
from infermeter.cli.stack.readiness import NotReadyError, wait_for
from infermeter.cli.stack.stack import Stack, attach, stop_recorded
from infermeter.cli.stack.state import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from infermeter.cli.stack.places import Places
    from infermeter.cli.stack.reporting import Reporter
    from infermeter.cli.stack.state import StackState

USUAL_SPEED, FAST_ENOUGH = 60.0, 10.0
"""Of a stack that the demonstration starts; and from which on a running one is left as it is."""
_LOCK_WAIT_S = 5.0
_LONGEST_WINDOW_S, _SLACK_S = 3600.0, 5.0
"""Of the windows that alerts about models look at."""
_DATA_TIMEOUT_S = 60.0
_MODEL_VERSIONS = 8
_EVERYTHING_ARRIVES = (
    f'count(model_version:model_inference_requests:rate5m{{namespace="{NAMESPACE}"}} > 0) >= {_MODEL_VERSIONS}'
    f' and on () count(gpu:utilization_ratio:avg5m{{namespace="{NAMESPACE}"}}) > 0'
    f' and on () count(pipeline_last_success_timestamp_seconds{{pipeline="features"}}) > 0'
)


class Stage:
    """A running stack with the fleet.

    Args:
        places: The stack's files.
        reporter: Hears what is started.
        bearer_token: What the collector demands, if it does.
    """

    def __init__(self, places: Places, reporter: Reporter, bearer_token: str | None = None) -> None:
        self.places = places
        self.console_url: str | None = None
        self._reporter, self._bearer_token = reporter, bearer_token

    def set(self, speed: float | None) -> tuple[Prometheus, float]:
        """Start what is missing, and make the rules as fast as wanted.

        Args:
            speed: How many times shorter than written the windows of the rules are to be. None leaves those of a
                running stack alone if they are short enough to watch.

        Returns:
            Who evaluates the rules, and their speed.

        Raises:
            StackError: It cannot be had; the message says why, and what to do.
        """
        self.places.make()
        with locked(self.places.lock_file, holder="`infermeter demo`", wait_s=_LOCK_WAIT_S):
            state = self._running() or self._start(speed or USUAL_SPEED)
            prometheus = Prometheus(f"http://127.0.0.1:{state.ports['prometheus']}")
            if "console" in state.ports:
                self.console_url = f"http://127.0.0.1:{state.ports['console']}"
            found = speed_of(prometheus)
            wanted = speed or (found if found >= FAST_ENOUGH else USUAL_SPEED)
            if not any(part.name == FLEET and part.alive for part in state.parts):
                state = self._attach_fleet(state, wanted)
            changes = abs(found / wanted - 1) > 0.01
            if changes:
                self._reporter.say(f"Loading the rules with windows {wanted:g} times shorter than written.")
                self._usual_speed_file.write_text(f"{found:g}", encoding="utf-8")
                change_speed(prometheus, state, self.places, wanted)
            write_control(self.places, speed=wanted, faults={})
        if changes:
            # A sum of counts over an hour would take one of the long windows for many of the short ones.
            filling_s = _LONGEST_WINDOW_S / wanted + _SLACK_S
            self._reporter.say(
                f"Waiting {filling_s:.0f} s, until they look at nothing that the long ones have counted."
            )
            time.sleep(filling_s)
        self._await_data(prometheus)
        return prometheus, wanted

    def calm_down(self) -> bool:
        """Switch every fault off and give the rules the speed that they had; return whether there was a fleet.

        Raises:
            StackError: Prometheus does not answer.
        """
        speed = read_speed(self.places)
        if speed is None:
            return False
        write_control(self.places, speed=speed, faults={})
        state = self._running()
        if state is None or not self._usual_speed_file.exists():
            return state is not None
        with locked(self.places.lock_file, holder="`infermeter demo`", wait_s=_LOCK_WAIT_S):
            usual = float(self._usual_speed_file.read_text(encoding="utf-8"))
            prometheus = Prometheus(f"http://127.0.0.1:{state.ports['prometheus']}")
            change_speed(prometheus, state, self.places, usual)
            write_control(self.places, speed=usual, faults={})
            self._usual_speed_file.unlink()
        self._reporter.say(f"The windows of the rules are {_as_written(usual)} again.")
        return True

    @property
    def _usual_speed_file(self) -> Path:
        """There while the rules have another speed than the stack was started with."""
        return self.places.fleet / "usual_speed"

    def _running(self) -> StackState | None:
        state = read_state(self.places.state_file)
        if state is None:
            return None
        dead = [part.title for part in state.parts if not part.alive and part.name != FLEET]
        if len(dead) == len([part for part in state.parts if part.name != FLEET]):
            return None
        if dead:
            raise StackError(
                f"{', '.join(dead)} crashed; `infermeter logs` shows why, `infermeter up` starts the stack afresh.",
                exit_code=ExitCode.DEGRADED,
            )
        return state

    def _start(self, speed: float) -> StackState:
        self._reporter.say("Nothing is running yet; starting the stack, which stays until `infermeter down`.")
        stop_recorded(self.places)
        self._usual_speed_file.unlink(missing_ok=True)
        stack = Stack(self._options(speed), reporter=self._reporter)
        state = stack.start()
        stack.detach()
        return state

    def _attach_fleet(self, state: StackState, speed: float) -> StackState:
        self._reporter.say("Starting the fleet, which stays until `infermeter down`.")
        url = f"http://127.0.0.1:{state.ports['otlp-http']}"
        options = self._options(speed)
        part = fleet_part(options, url, self.places, environment())
        return attach(part, self.places, timeout_s=options.ready_timeout_s)

    def _options(self, speed: float) -> StackOptions:
        return StackOptions(
            data_dir=self.places.data_dir, example=False, fleet=True, speed=speed, bearer_token=self._bearer_token
        )

    def _await_data(self, prometheus: Prometheus) -> None:
        def probe() -> str | None:
            return None if prometheus.query(_EVERYTHING_ARRIVES) else "some have not reported"

        try:
            wait_for("models, GPUs and pipeline of the fleet to report", probe, timeout_s=_DATA_TIMEOUT_S)
        except NotReadyError as late:
            raise StackError(
                f"{late}. `infermeter doctor` finds out why; the fleet's log: {self.places.log(FLEET)}"
            ) from None


def _as_written(speed: float) -> str:
    return "as written" if speed == 1 else f"{speed:g} times shorter than written"
