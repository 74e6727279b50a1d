"""``python -m many_checks SPEC``: the full check of many ZIPs in one process, limited as the real child is.

SPEC: the spec of one check, with ``archives`` (paths) in place of one. Writes one JSON line for each, in order, to
``answers``: the archive, its issues' codes, the traceback of what is no answer, and the peak memory so far.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path

from segdrop import child_runtime, errors, spec
from segdrop.dataset import full_check


def main() -> int:
    child_runtime.tie_to_parent()
    order = json.loads(Path(sys.argv[1]).read_bytes())
    limits = spec.Limits.model_validate(order["spec"]["limits"])
    child_runtime.limit_resources(memory_bytes=limits.check_memory_bytes, cpu_seconds=limits.check_cpu_seconds)
    with Path(order["answers"]).open("a", encoding="utf-8") as answers:
        for archive in order["archives"]:
            one = spec.CheckSpec.model_validate(order["spec"] | {"archive": archive, "name": Path(archive).name})
            issues, defect = [], None
            try:
                issues = [issue.to_json() for issue in full_check.check(one, child_runtime.StopFlag()).issues]
            except errors.DataError as error:
                issues = [issue.to_json() for issue in error.issues]
            except Exception:  # noqa: BLE001  (what the test looks for)
                defect = traceback.format_exc()
            answer = {"archive": archive, "issues": issues, "defect": defect, "peak": child_runtime.peak_rss_bytes()}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
            if one.cache_dir is not None:
                shutil.rmtree(one.cache_dir, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
