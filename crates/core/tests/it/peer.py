"""Answers each line of JSON with one: what another implementation says."""

import json
import sys
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo


def cron(fields, zone, begin, end):
    """The times of an expression after `begin` and up to `end`, in seconds."""
    from cronsim import CronSim

    found = []
    for time in CronSim(fields, datetime.fromtimestamp(begin, ZoneInfo(zone))):
        seconds = int(time.timestamp())
        if seconds > end:
            break
        found.append(seconds)
    return found


def number(text):
    """A float as Go's %v shows it, from Python's shortest digits."""
    sign, digits, exponent = Decimal(repr(float.fromhex(text))).as_tuple()
    digits = "".join(map(str, digits)).lstrip("0")
    power = len(digits) + exponent - 1
    digits = digits.rstrip("0")
    minus = "-" if sign else ""
    if not digits:
        return minus + "0"
    if power < -4 or power >= 6:
        point = "." if digits[1:] else ""
        return f"{minus}{digits[0]}{point}{digits[1:]}e{power:+03d}"
    if power < 0:
        return minus + "0." + "0" * (-power - 1) + digits
    whole, rest = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return minus + whole + ("." + rest if rest else "")


def main():
    answers = {"cron": cron, "number": number}
    for line in sys.stdin.read().splitlines():
        name, *arguments = json.loads(line)
        print(json.dumps(answers[name](*arguments)))


main()
