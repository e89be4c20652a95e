"""`infermeter completion`: what a shell needs to complete our commands and options."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

_EXAMPLES = """\b
Examples:
  infermeter completion bash >> ~/.bashrc
  infermeter completion zsh >> ~/.zshrc
  infermeter completion fish > ~/.config/fish/completions/infermeter.fish
  eval "$(infermeter completion bash)"       for this shell only
"""


@click.command(epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and their values in SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click cannot complete in {shell}")
    root = context.find_root()
    name = root.info_name or "infermeter"
    script = kind(root.command, {}, name, f"_{name.replace('-', '_').upper()}_COMPLETE")
    click.echo(script.source())
    sys.stdout.flush()
