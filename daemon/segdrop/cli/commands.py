"""The list of commands. Each is a function in the module named here, which loads the settings and does the wiring."""

import typer

from segdrop.cli import datasets, infer, jobs, json_images, machine, models, serve, train

app = typer.Typer(
    name="segdrop",
    help="Drop a dataset ZIP into a folder, get a trained segmentation model back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.run)
app.command()(serve.once)
app.command()(machine.init)
app.command()(datasets.check)
app.command()(train.train)
app.command()(infer.predict)
app.command()(infer.evaluate)
app.command()(datasets.convert)
app.command()(datasets.demo)
app.command()(json_images.images_to_json)
app.command()(json_images.json_to_images)
app.command()(jobs.status)
app.command()(jobs.jobs)
app.command()(jobs.show)
app.command()(jobs.cancel)
app.command()(jobs.retry)
app.command("doctor")(machine.run_doctor)
app.command()(machine.health)
app.command("config")(machine.show_config)

models_app = typer.Typer(help="Architectures and weights.", invoke_without_command=True)
models_app.callback()(models.models)
models_app.command()(models.fetch)
app.add_typer(models_app, name="models")
