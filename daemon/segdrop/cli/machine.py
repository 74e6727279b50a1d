"""The commands ``init``, ``config``, ``doctor`` and ``health``: setting up, and looking after the machine."""

import grp
import json
import os
import pwd
import sys
from typing import Annotated

import typer

from segdrop import settings
from segdrop.cli import doctor, tables
from segdrop.cli.options import ConfigOption, RootArgument, RootOption, load
from segdrop.errors import Exit
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout
from segdrop.spool.mending import Mended, Owners


def init(
    root: RootArgument = None,
    *,
    people: Annotated[
        str | None,
        typer.Option("--people", metavar="GROUP", help="Who may drop files and read results: sets owners and modes."),
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="USER", help="Whom the daemon runs as, with --people (as root).")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make the folders and the sentinel, mend modes, and check that files can be renamed between the folders."""
    loaded = load(config, root)
    layout = RootLayout(loaded.root)
    if owner is not None and people is None:
        raise typer.BadParameter("it goes with --people GROUP", param_hint="--owner")
    owners = _owners(layout, people, owner) if people is not None else None
    spool_root.open_root(layout, require_sentinel=False, owners=owners, tell=_print_mended)
    tables.terminal().print(
        f"ready: {tables.clean(layout.root)}\ncopy dataset ZIPs into {tables.clean(layout.inbox)}",
        soft_wrap=True,
    )


def _print_mended(mended: Mended) -> None:
    def say(text: str) -> None:
        tables.terminal().print(tables.clean(text), soft_wrap=True, highlight=False)

    for change in mended.changes:
        files = f" ({change.count} files)" if change.count > 1 else ""
        say(f"mended {change.path}{files}: {change.before}, now {change.after}")
    for left in mended.refused:
        say(f"not mended {left.path}: {left.reason}: {left.command}")


def _owners(layout: RootLayout, people: str, owner: str | None) -> Owners:
    """Looks up users and groups. Without ``owner``, a root keeps the one it has, and a new one is the caller's."""
    try:
        people_gid = grp.getgrnam(people).gr_gid
    except KeyError:
        raise typer.BadParameter(f"there is no group {people}: `groupadd {people}`", param_hint="--people") from None
    try:
        user = pwd.getpwnam(owner) if owner is not None else pwd.getpwuid(_present_owner(layout))
    except KeyError:
        raise typer.BadParameter(f"there is no user {owner or _present_owner(layout)}", param_hint="--owner") from None
    gid = os.getegid() if user.pw_uid == os.geteuid() else user.pw_gid
    return Owners(user.pw_uid, gid, people_gid)


def _present_owner(layout: RootLayout) -> int:
    return layout.work.stat().st_uid if layout.work.is_dir() else os.geteuid()


def show_config(
    *,
    show_sources: Annotated[bool, typer.Option("--show-sources", help="Where each value comes from.")] = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Print the settings in effect."""
    loaded = load(config, root)
    values = loaded.model_dump(mode="json")
    origin = settings.sources(config, os.environ, {"root": root} if root else {})
    for key in settings.keys():  # noqa: SIM118  (a function)
        section, _, name = key.rpartition(".")
        value = values[section][name] if section else values[name]
        typer.echo(f"{key} = {json.dumps(value)}" + (f"  # {origin[key]}" if show_sources else ""))


def run_doctor(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Check whether this machine is ready: folders, who may do what, filesystem, space, processes, weights, bf16."""
    findings = list(doctor.findings(load(config, root), settings.config_path(config, os.environ)))
    tables.terminal().print(tables.finding_table(findings))
    sys.exit(Exit.TRY_LATER if any(finding.ok is False for finding in findings) else Exit.OK)


def health(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Tell in one line whether the daemon is alive and able to work. Exit code 0 or 75, for monitors."""
    finding = doctor.health(RootLayout(load(config, root).root), doctor.now())
    tables.terminal().print(tables.clean(finding.detail), soft_wrap=True, highlight=False)
    sys.exit(Exit.OK if finding.ok else Exit.TRY_LATER)
