"""`unipam calico`: a cluster whose addresses Calico's IPAM hands out."""

from __future__ import annotations

import click

from unipam.cli import calico_doctor, calico_ipam, calico_migrate, calico_pool


@click.group("calico")
def command() -> None:
    """Look at a cluster of Calico's, and put it right: what calicoctl's ipam commands do, and more."""


command.add_command(calico_ipam.command)
command.add_command(calico_pool.command)
command.add_command(calico_pool.datastore)
command.add_command(calico_migrate.command)
command.add_command(calico_doctor.command)
