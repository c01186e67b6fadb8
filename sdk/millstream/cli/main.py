"""The command tree of `millstream`."""

from __future__ import annotations

import sys

import typer

from millstream.cli import backup, events, explain, figures, objects, pipelines, platform
from millstream.errors import ClientError

app = typer.Typer(
    name="millstream",
    help="An event-driven machine-learning platform: train, register, serve. Start with `millstream up`.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for command in (platform.up, platform.down, platform.status, platform.kubeconfig):
    app.command()(command)
for command in (objects.apply, objects.get, objects.describe, objects.delete, objects.logs):
    app.command()(command)
app.command()(figures.metrics)
app.command()(explain.explain)
for command in (backup.backup, backup.restore):
    app.command()(command)
app.add_typer(events.app, name="events")
app.add_typer(pipelines.app, name="pipeline")


@app.command()
def demo(
    home: platform.Home = None,
    keep: bool = typer.Option(True, "--keep/--clean", help="Keep the job, the model and the service afterwards"),
) -> None:
    """Run the main job: train on handwritten digits, register, serve, predict, and show the timeline."""
    try:
        from millstream.cli.demo import run_demo
    except ModuleNotFoundError as error:
        raise ClientError(f"the demo runs from a checkout: {error.name} is not here") from error
    run_demo(home, keep)


def run() -> None:
    """Run the command line of this process and exit."""
    try:
        app()
    except ClientError as error:
        typer.secho(f"millstream: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
