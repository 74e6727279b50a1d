"""The operator's settings: TOML and environment, parsed once, frozen, passed down.

Precedence: command line > environment ``SEGDROP_SECTION__KEY`` > TOML file > the defaults here. Unknown keys
are refused in both, with the nearest valid one. ``config/segdrop.toml`` documents every key and is tested to
equal the defaults.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from segdrop import request, spec
from segdrop.errors import ConfigError, DataError

ENV_PREFIX = "SEGDROP_"
CONFIG_VARIABLE = "SEGDROP_CONFIG"
SYSTEM_CONFIG_PATH = Path("/etc/segdrop/segdrop.toml")
#: ours, but not settings
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "SEGDROP_PARENT_PID"})

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]
_MIB, _GIB = 2**20, 2**30


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSettings(Section):
    require_sentinel: bool = Field(
        default=False, description="Refuse a root without .segdrop-root: it is an unmounted share."
    )
    stop_seconds: Seconds = Field(60.0, description="Time for a child to save its state when the daemon stops.")


class IntakeSettings(Section):
    scan_seconds: Seconds = Field(2.0, description="Time between two scans of the inbox.")
    watch: bool = Field(default=True, description="Let file events wake the scan early. Never needed.")
    settle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0, description="How long a complete ZIP and its sidecar must be unchanged before they are taken."
    )
    incomplete_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        300.0,
        description="How long a ZIP that looks incomplete must be unchanged before it is answered as truncated.",
    )


class QueueSettings(Section):
    capacity: Annotated[int, Field(ge=1, le=10_000)] = Field(
        8, description="Claimed jobs that wait for training; what does not fit waits in the inbox."
    )
    reserve_bytes: Annotated[int, Field(ge=0)] = Field(
        2 * _GIB,
        description="Free space without which no job is claimed or started: checkpoints, weights, model and result.",
    )


class LimitSettings(Section):
    max_archive_bytes: Bytes = Field(50 * _GIB, description="Size of a ZIP.")
    max_extracted_bytes: Bytes = Field(100 * _GIB, description="Size of all members of a ZIP together, unpacked.")
    max_member_bytes: Bytes = Field(2 * _GIB, description="Size of one member, unpacked.")
    max_entries: Annotated[int, Field(ge=1)] = Field(500_000, description="Members of a ZIP.")
    max_ratio: Annotated[int, Field(ge=2)] = Field(200, description="Unpacked to packed size of a member over 1 MiB.")
    max_image_pixels: Annotated[int, Field(ge=1)] = Field(100_000_000, description="Pixels of one image.")
    check_memory_bytes: Bytes = Field(4 * _GIB, description="Address space of the process that reads ZIPs.")
    check_cpu_seconds: Annotated[int, Field(ge=1)] = Field(14_400, description="CPU time for the check of one ZIP.")
    check_seconds: Seconds = Field(28_800.0, description="Time for the check of one ZIP.")

    def for_child(self) -> spec.Limits:
        return spec.Limits.model_validate(self.model_dump(exclude={"check_seconds"}))


class TrainingSettings(Section):
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="Threads of the training process; 0: what the CPU affinity and the cgroup quota allow."
    )
    nice: Annotated[int, Field(ge=0, le=19)] = Field(
        10, description="Niceness of the training process, so that checks are answered while it runs."
    )
    stall_seconds: Seconds = Field(
        1800.0, description="Without progress for so long, the training process is ended and started again."
    )
    max_seconds: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Longest time for one attempt at training; 0: no limit."
    )
    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="How often training is started without coming further, before the job fails."
    )


class RetentionSettings(Section):
    done_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep inputs in done/ so long; 0: for good.")
    failed_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep failed/ so long; 0: for good.")
    outbox_days: Annotated[float, Field(ge=0)] = Field(0.0, description="Keep results so long; 0: for good.")


class LogSettings(Section):
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON lines elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity logged.")


class Settings(BaseSettings):
    """All settings. Build with :func:`load`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    root: Path = Field(Path("segdrop"), description="The folder that holds inbox/, outbox/ and the others.")
    service: ServiceSettings = ServiceSettings()
    intake: IntakeSettings = IntakeSettings()
    queue: QueueSettings = QueueSettings()
    limits: LimitSettings = LimitSettings()
    training: TrainingSettings = TrainingSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    defaults: dict[str, Any] = Field({}, description="Request keys, with the value where a request has none.")

    @field_validator("defaults", mode="before")
    @classmethod
    def _from_environment(cls, value: object) -> object:
        """Environment variables are text: ``SEGDROP_DEFAULTS__LEVEL=1`` means the number."""
        if not isinstance(value, dict):
            return value
        return {str(key).lower(): decoded(item) for key, item in value.items()}

    @field_validator("defaults")
    @classmethod
    def _valid_request(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            return request.validated_defaults(value)
        except (DataError, TypeError) as error:  # TypeError: TOML knows dates, JSON does not
            raise ValueError(str(error)) from error


def decoded(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def keys() -> Iterator[str]:
    """Every setting as a dotted key."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from (f"{name}.{key}" for key in section.model_fields)
        else:
            yield name


def config_path(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The TOML file to read: named, by variable, or the system's where it exists."""
    if explicit is not None:
        return explicit
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    return SYSTEM_CONFIG_PATH if SYSTEM_CONFIG_PATH.is_file() else None


def load(
    explicit_config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read and validate all sources; ``ConfigError`` names everything that is wrong at once."""
    variables = os.environ if environ is None else environ
    path = config_path(explicit_config, variables)
    toml = _read_toml(path)
    unknown = [*_unknown_toml(toml, path), *_unknown_variables(variables)]
    if unknown:
        raise ConfigError("\n".join(unknown))

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (reads the process's environment only)
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            given = InitSettingsSource(settings_cls, toml)
            return (init_settings, _Environment(settings_cls, variables), given)

    try:
        loaded = Loaded(**(overrides or {}))
    except (ValidationError, SettingsError) as error:
        raise ConfigError(_explain(error)) from error
    return Settings.model_construct(**{name: getattr(loaded, name) for name in Settings.model_fields})


class _Environment(EnvSettingsSource):
    """The environment given, instead of the process's: tests and ``config --show-sources`` pass their own."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = {key.lower(): value for key, value in environ.items() if key.startswith(ENV_PREFIX)}
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._environ


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"cannot read the settings: {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _unknown_toml(values: Mapping[str, Any], path: Path | None) -> Iterator[str]:
    valid = list(keys())
    for name, value in values.items():
        is_section = any(key.startswith(f"{name}.") for key in valid)
        given = [f"{name}.{key}" for key in value] if is_section and isinstance(value, dict) else [name]
        yield from (f"{path}: {_unknown(key, valid)}" for key in given if key not in valid and key != name)
        if not is_section and name not in valid:
            yield f"{path}: {_unknown(name, [*valid, *(key.partition('.')[0] for key in valid)])}"


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    valid = {variable_name(key): key for key in keys()}
    for variable in environ:
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES or variable in valid:
            continue
        if variable.startswith(f"{ENV_PREFIX}DEFAULTS__"):
            continue  # a request key: checked as such
        guess = request.nearest(variable, {name.lower(): key for name, key in valid.items()})
        yield f"environment: config.unknown_key: {variable} is not a setting" + (
            f"; did you mean {guess.upper()}?" if guess else ""
        )


def _unknown(key: str, valid: list[str]) -> str:
    guess = request.nearest(key, valid)
    return f"config.unknown_key: `{key}` is not a setting" + (f"; did you mean `{guess}`?" if guess else "")


def variable_name(key: str) -> str:
    """The environment variable of a dotted key."""
    return ENV_PREFIX + key.upper().replace(".", "__")


def _explain(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return f"config.invalid_value: {error}"
    return "\n".join(
        f"config.invalid_value: `{'.'.join(map(str, detail['loc']))}` is {detail['input']!r}: {detail['msg']}"
        for detail in error.errors(include_url=False)
    )


def sources(explicit_config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, str]:
    """Where each setting's value comes from, by dotted key."""
    path = config_path(explicit_config, environ)
    toml = _read_toml(path)
    found = {}
    for key in keys():
        section, _, name = key.rpartition(".")
        in_file = name in (toml.get(section, {}) if section else toml)
        variable = variable_name(key)
        in_environment = any(given == variable or given.startswith(f"{variable}__") for given in environ)
        found[key] = (
            "command line"
            if key in overrides
            else f"environment {variable}"
            if in_environment
            else str(path)
            if in_file
            else "default"
        )
    return found
