"""What the exit status of every `infermeter` command means: the one table, for people and scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses; a script may rely on them.

    Attributes:
        meaning: In which command, and what it says.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str = "") -> ExitCode:
        """Keep the meaning beside the number."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    OK = 0, "done; doctor: all well, warnings at most"
    FAILED = 1, "something nobody foresaw; a traceback or message says what"
    USAGE = 2, "a wrong option or argument (click's own choice)"
    NOT_RUNNING = 3, "status: nothing of ours runs; top: Prometheus does not answer"
    DEGRADED = 4, "status: a part has crashed or does not answer"
    START_FAILED = 5, "up: a part crashed or was not ready in time; everything was stopped again"
    PORT_TAKEN = 6, "up, console, gpu agent: a port that was asked for explicitly belongs to somebody else"
    BINARY_MISSING = 7, "up, console --build: a binary or the page is not there and could not be built"
    BUSY = 8, "another infermeter command works on the same data directory, or is this host's GPU agent"
    CHECK_FINDINGS = 9, "check: something is wrong in a file"
    DEMO_UNEXPECTED = 10, "demo: an alert that was stated did not come or did not end, or another one came"
    NO_GPU = 11, "gpu list: no GPU can be read"
    DOCTOR_SETTINGS = 20, "doctor: a setting is wrong or switches the sending off"
    DOCTOR_ENDPOINT = 21, "doctor: nobody listens where metrics are sent, or not with that protocol"
    DOCTOR_TLS = 22, "doctor: TLS on one side only, or a certificate that is not trusted"
    DOCTOR_TOKEN = 23, "doctor: the collector refuses the token"
    DOCTOR_COLLECTOR = 24, "doctor: the collector takes metrics and does not pass them on"
    DOCTOR_PROMETHEUS = 25, "doctor: Prometheus does not answer"
    DOCTOR_SCRAPE = 26, "doctor: Prometheus does not scrape the collector"
    DOCTOR_LABELS = 27, "doctor: metrics arrive under wrong labels"
    DOCTOR_DOUBLE = 28, "doctor: something is counted twice"
    DOCTOR_RULES = 29, "doctor: rules are not loaded, fail, or are not evaluated"
    DOCTOR_ALERTMANAGER = 30, "doctor: alerts do not reach Alertmanager"
    DOCTOR_CLOCK = 31, "doctor: clocks disagree"
    DOCTOR_VERSIONS = 32, "doctor: a version is out of the supported range"
    DOCTOR_GPU = 33, "doctor: there is a GPU, and NVML cannot be read"
    INTERRUPTED = 130, "Ctrl-C; everything that had been started was stopped"


def table(prefixes: tuple[str, ...] = ()) -> str:
    """Return the table as click keeps it: one line per status, of the names that start so or of all.

    Args:
        prefixes: Starts of names, such as `DOCTOR_`; OK is always there.
    """
    chosen = [code for code in ExitCode if not prefixes or code.name == "OK" or code.name.startswith(prefixes)]
    return "\n".join(f"  {code:3d}  {code.meaning}" for code in chosen)
