"""Which commands there are, and one line about each; imports a command's module only when that command runs.

So `infermeter --help` loads click and nothing else, and a new command is one line in the table.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

import click

from infermeter.cli.exit_codes import table
from infermeter.version import __version__

# name -> (module, what it does in one line); the command object carries the command's name.
_COMMANDS: dict[str, tuple[str, str]] = {
    "up": (
        "infermeter.cli.up",
        "Start collector, Prometheus, Alertmanager, console and demonstration; wait until all are ready.",
    ),
    "down": ("infermeter.cli.down", "Stop everything that `up` started."),
    "status": ("infermeter.cli.status", "Say what runs, where, and whether it answers."),
    "logs": ("infermeter.cli.logs", "Show what the parts have written."),
    "console": ("infermeter.cli.console", "Serve the page with dashboards, alerts and runbooks."),
    "demo": ("infermeter.cli.demo.command", "Break a fleet of model services on purpose, and watch the alerts."),
    "top": ("infermeter.cli.top", "Show models, GPUs, pipelines and alerts in the terminal, live."),
    "doctor": ("infermeter.cli.doctor", "Follow one measurement through everything and name the hop that is broken."),
    "check": ("infermeter.cli.check", "Check rules, dashboards and runbooks against the series that exist."),
    "rules": ("infermeter.cli.rules", "Write rules, dashboards and runbooks for your own Prometheus and Grafana."),
    "slo": ("infermeter.cli.slo", "Check what your models promise, and write the rules that watch it."),
    "run": ("infermeter.cli.run", "Run a Python service with metrics on, without changing its code."),
    "pipeline": ("infermeter.cli.pipeline", "Report a batch job of any language: `pipeline run NAME -- command`."),
    "baseline": ("infermeter.cli.baseline", "Build, show and compare what drift is measured against."),
    "gpu": ("infermeter.cli.gpu", "Show this machine's GPUs, or publish them as dcgm-exporter does."),
    "completion": ("infermeter.cli.completion", "Print the script that completes commands in bash, zsh or fish."),
    "version": ("infermeter.cli.version", "Print the versions of infermeter and of the parts it starts."),
}

_EXAMPLES = f"""\b
Examples:
  infermeter up                      start the whole local stack, about 10 s once built
  infermeter status                  what runs and where
  infermeter logs prometheus -f      follow one part
  infermeter top                     the same as on the page, in the terminal
  infermeter doctor                  name what is broken between a service and its alerts
  infermeter down                    stop it; nothing is left running

\b
Exit statuses:
{table()}
"""


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports them on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return [name for name, (module, _) in _COMMANDS.items() if find_spec(module) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{_COMMANDS[cmd_name][0]}.{cmd_name} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as unknown:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{unknown.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s", help="Print the version; the command says more.")
def infermeter() -> None:
    """Measuring instruments for machine-learning inference services."""
