"""Metrics without a port: a file for node_exporter's textfile collector. Pure; the service writes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauges:
    """The numbers that a monitor reads. Times are seconds since the epoch."""

    now: float
    started_at: float
    scan_at: float
    queued: int
    waiting: int
    running: int
    oldest_wait_seconds: float
    outcomes: dict[str, int]
    last_success_at: float | None
    paused: bool


def render(measured: Gauges) -> str:
    """Returns the metrics in the text exposition format, version 0.0.4."""
    gauges = {
        "segdrop_up_timestamp_seconds": ("When the daemon started.", measured.started_at),
        "segdrop_last_scan_timestamp_seconds": ("When the inbox was last scanned.", measured.scan_at),
        "segdrop_written_timestamp_seconds": ("When this file was written.", measured.now),
        "segdrop_queue_jobs": ("Claimed jobs that wait for training.", measured.queued),
        "segdrop_inbox_files": ("ZIPs in the inbox.", measured.waiting),
        "segdrop_running_jobs": ("Jobs in training.", measured.running),
        "segdrop_oldest_wait_seconds": ("Age of the job that has waited longest.", measured.oldest_wait_seconds),
        "segdrop_paused": ("1 while no jobs are started.", int(measured.paused)),
    }
    if measured.last_success_at is not None:
        gauges["segdrop_last_success_timestamp_seconds"] = ("When a job last succeeded.", measured.last_success_at)
    lines = []
    for name, (text, value) in gauges.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:.3f}"]
    name = "segdrop_jobs_total"
    lines += [f"# HELP {name} Jobs that ended since the daemon started.", f"# TYPE {name} counter"]
    lines += [f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in sorted(measured.outcomes.items())]
    return "\n".join(lines) + "\n"
