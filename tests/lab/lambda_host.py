# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a Lambda function's handler: an event by each line that is read, its answer by each line that is written.

Usage: python lambda_host.py MODULE.FUNCTION
"""

from __future__ import annotations

import importlib
import json
import sys
import types

if __name__ == "__main__":
    module, _dot, name = sys.argv[1].rpartition(".")
    answers, sys.stdout = sys.stdout, sys.stderr  # what a function prints is its log
    handler = getattr(importlib.import_module(module), name)
    for number, line in enumerate(sys.stdin):
        context = types.SimpleNamespace(
            aws_request_id=str(number),
            function_name=name,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{name}",
        )
        answers.write(json.dumps(handler(json.loads(line), context)) + "\n")
        answers.flush()
