"""Read-only SQL on a real PostgreSQL: hostile statements, ordinary ones, and the way there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
import time

import pytest

from tests.postgres import Server
from tests.readonly.ordinary import POSTGRESQL
from tests.readonly.shop import Shop, bare, gated
from tests.readonly.worlds import Attack
from workbench.readonly import postgresql
from workbench.toolkit import Failed

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]
ATTACKS = Attack.load("sql_postgres")


@pytest.fixture(scope="module")
def shop(postgres: Server) -> Iterator[Shop]:
    shop = Shop(postgres)
    yield shop
    shop.close()


def test_each_hostile_statement_does_its_harm_without_the_gate_and_none_with_it(postgres: Server):
    harmless, through = [], {}
    for attack in ATTACKS:
        shop = Shop(postgres)
        try:
            if not (seen := bare(shop, attack, seconds=3.0)):
                harmless.append(attack.id)
        finally:
            shop.close()
        shop = Shop(postgres)
        try:
            if harms := gated(shop, attack):
                through[attack.id] = harms
        finally:
            shop.close()
        print(attack.id, attack.oracle, seen, through.get(attack.id), round(time.monotonic()))
    assert through == {}
    assert len(harmless) * 3 <= len(ATTACKS), harmless
