"""The metrics file is what node_exporter's textfile collector takes."""

import re

from segdrop.service.prometheus import Gauges, render

_SAMPLE = re.compile(r'^[a-z_]+(\{outcome="[a-z]+"\})? -?[0-9.]+$')


def _measured(last_success_at: float | None = 5.0) -> Gauges:
    return Gauges(
        now=1000.5,
        started_at=10.0,
        scan_at=999.0,
        queued=2,
        waiting=3,
        running=1,
        oldest_wait_seconds=12.25,
        outcomes={"succeeded": 4, "failed": 1},
        last_success_at=last_success_at,
        paused=True,
    )


def test_every_line_is_a_comment_or_a_sample() -> None:
    for line in render(_measured()).splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or _SAMPLE.match(line), line


def test_values_are_the_measured_ones() -> None:
    lines = set(render(_measured()).splitlines())
    expected = {
        "segdrop_queue_jobs 2.000",
        "segdrop_oldest_wait_seconds 12.250",
        "segdrop_paused 1.000",
        'segdrop_jobs_total{outcome="failed"} 1',
        "segdrop_last_success_timestamp_seconds 5.000",
    }
    assert expected <= lines


def test_no_success_yet_is_no_sample_instead_of_1970() -> None:
    assert "last_success" not in render(_measured(last_success_at=None))
