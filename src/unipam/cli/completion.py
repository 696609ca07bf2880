"""`unipam completion`: what a shell reads to complete our commands."""

from __future__ import annotations

import click

from unipam.cli.main import COMPLETE, unipam


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what SHELL reads to complete commands, options, and names of spaces, blocks, networks and pods.

    \b
    Examples:
      unipam completion bash > /etc/bash_completion.d/unipam
      unipam completion zsh > "${fpath[1]}/_unipam"
      unipam completion fish > ~/.config/fish/completions/unipam.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the choices are click's own
    click.echo(found(unipam, {}, "unipam", COMPLETE).source())
