"""Make one key for each learner, with cards to hand out; block them after class."""

import argparse
import csv
import html
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, TextIO

import requests

from lesson.options import dollars
from lesson.show import counted
from lesson_runner.options import number_from
from lesson_runner.page.places import LessonError

EXAMPLE = "lesson keys --learners 30 --budget 0.50 --days 3 --out keys.csv"

PAGE = Path(__file__).with_name("cards.html")
COLUMNS = ("alias", "key", "address", "model", "budget", "expires")
TIMEOUT = 60


@dataclass(frozen=True)
class Admin:
    """A LiteLLM proxy, real or mock, and a key that may make keys there."""

    base_url: str
    key: str

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, or LessonError with what to do. No message holds a key."""
        try:
            response = requests.post(
                self.base_url + path,
                headers={"Authorization": f"Bearer {self.key}"},
                json=body,
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            raise LessonError(
                f"{self.base_url} does not answer ({type(error).__name__}). "
                "Is LITELLM_BASE_URL right, and does the proxy run?"
            ) from None
        if response.status_code in (401, 403):
            raise LessonError(
                f"{self.base_url} does not let this key manage keys (status "
                f"{response.status_code}). Set LITELLM_MASTER_KEY to the master key, "
                "or to the key of a proxy admin."
            )
        if not response.ok:
            raise LessonError(
                f"{self.base_url}{path} answered {response.status_code}: {_reason(response)}"
            )
        answer = response.json()
        return answer if isinstance(answer, dict) else {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--learners", type=number_from(1, 1000), metavar="N", help="make this many keys"
    )
    wanted.add_argument(
        "--revoke", type=Path, metavar="FILE", help="block the keys that this table lists"
    )
    parser.add_argument(
        "--budget", type=dollars, default=0.5, metavar="USD", help="what each key may spend (0.50)"
    )
    parser.add_argument(
        "--days", type=number_from(1, 366), default=3, help="how long the keys are valid (3)"
    )
    parser.add_argument(
        "--rpm", type=number_from(1), metavar="N", help="requests a minute for each key (no limit)"
    )
    parser.add_argument(
        "--models", metavar="NAME,NAME", help="the models that the keys may use (all)"
    )
    parser.add_argument(
        "--name",
        default=time.strftime("class-%Y-%m-%d"),
        help="the keys are called NAME-01, NAME-02 and so on; new for each class (class-DATE)",
    )
    parser.add_argument(
        "--address", metavar="URL", help="the address on the cards (that of LITELLM_BASE_URL)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the model on the cards, for LITELLM_MODEL (yours, if that is set)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("keys.csv"),
        metavar="FILE",
        help="the table with the keys (keys.csv); the cards go beside it, as an HTML page",
    )


def run(options: argparse.Namespace) -> int:
    admin = admin_of(os.environ)
    if options.revoke:
        return revoke(admin, options.revoke)
    cards = options.out.with_suffix(".html")
    for file in (options.out, cards):
        if file.exists():
            raise LessonError(f"{file} exists, and may hold keys in use: give another --out FILE")
    limits: dict[str, Any] = {"max_budget": options.budget, "duration": f"{options.days}d"}
    if options.rpm:
        limits["rpm_limit"] = options.rpm
    if options.models:
        limits["models"] = [name.strip() for name in options.models.split(",")]
    address = options.address or admin.base_url
    aliases = [f"{options.name}-{number:02}" for number in range(1, options.learners + 1)]
    model = options.model or os.environ.get("LITELLM_MODEL", "")
    made = list(make(admin, aliases, limits, address, model, options.out))
    with _private(cards) as file:
        file.write(cards_page(made))
    print(f"{counted(len(made), 'key')} in {options.out}, cards to print in {cards}")
    print("Both hold keys that spend money: keep them out of repositories and cloud folders.")
    print(f"After class: lesson keys --revoke {options.out}")
    return 0


def admin_of(environment: Mapping[str, str]) -> Admin:
    base_url = environment.get("LITELLM_BASE_URL", "").rstrip("/")
    key = environment.get("LITELLM_MASTER_KEY") or environment.get("LITELLM_API_KEY", "")
    if not base_url:
        raise LessonError(
            "LITELLM_BASE_URL is not set: set it to the address of the proxy, "
            "for the practice proxy to http://127.0.0.1:4000"
        )
    if not key:
        raise LessonError(
            "LITELLM_MASTER_KEY is not set: set it to a key that may make keys, "
            "for the practice proxy to sk-practice-key"
        )
    return Admin(base_url, key)


def make(
    admin: Admin,
    aliases: list[str],
    limits: Mapping[str, Any],
    address: str,
    model: str,
    table: Path,
) -> Iterator[dict[str, str]]:
    """Make the keys one by one. Each is in the table before the next is made."""
    with _private(table) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number, alias in enumerate(aliases):
            try:
                answer = admin.post("/key/generate", {"key_alias": alias, **limits})
            except LessonError as error:
                if number == 0:
                    file.close()
                    table.unlink()
                    raise
                raise LessonError(
                    f"{error}\n{counted(number, 'key')} of {len(aliases)} made; they are in "
                    f"{table}, and `lesson keys --revoke {table}` blocks them"
                ) from error
            row = {
                "alias": alias,
                "key": str(answer["key"]),
                "address": address,
                "model": model,
                "budget": f"{limits['max_budget']:.2f}",
                "expires": str(answer.get("expires") or "")[:10],
            }
            writer.writerow(row)
            file.flush()
            yield row


def revoke(admin: Admin, table: Path) -> int:
    """Block every key of the table; go on where one fails. 1 if any is not blocked."""
    rows = read_table(table)
    failed = 0
    for row in rows:
        try:
            admin.post("/key/block", {"key": row["key"]})
        except LessonError as error:
            failed += 1
            print(f"{row['alias']} is not blocked: {str(error).replace(row['key'], '…')}")
    print(f"{len(rows) - failed} of {counted(len(rows), 'key')} blocked")
    return 1 if failed else 0


def read_table(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not {"alias", "key"} <= set(reader.fieldnames or ()):
            raise LessonError(f"{table}:1: the table needs the columns 'alias' and 'key'")
        rows = list(reader)
    for line, row in enumerate(rows, start=2):
        if not (row["key"] or "").startswith("sk-"):
            raise LessonError(
                f"{table}:{line}: the key of {row['alias']!r} does not begin with sk-"
            )
    return rows


def cards_page(rows: list[dict[str, str]]) -> str:
    """An HTML page with a card for each key, eight to a sheet of A4."""
    cards = []
    for row in rows:
        written = {name: html.escape(value) for name, value in row.items()}
        written["model"] = MODEL.substitute(written) if row["model"] else ""
        cards.append(CARD.substitute(written))
    page = Template(PAGE.read_text(encoding="utf-8"))
    return page.substitute(cards="\n".join(cards), count=len(rows))


CARD = Template("""\
<section>
<h2>$alias</h2>
<p>Address, for <code>LITELLM_BASE_URL</code>:</p>
<p class="value">$address</p>
<p>Key, for <code>LITELLM_API_KEY</code>:</p>
<p class="value">$key</p>
$model<p>Up to $budget US dollars, until $expires. The key is a password: show it to nobody.</p>
</section>""")


MODEL = Template("""\
<p>Model, for <code>LITELLM_MODEL</code>:</p>
<p class="value">$model</p>
""")


def _private(file: Path) -> TextIO:
    """A new text file that nobody else on this computer can read (where the system can say so)."""
    file.touch(mode=0o600, exist_ok=False)
    return file.open("w", encoding="utf-8", newline="")


def _reason(response: requests.Response) -> str:
    try:
        body = response.json()
        return str(body["error"]["message"] if "error" in body else body["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
