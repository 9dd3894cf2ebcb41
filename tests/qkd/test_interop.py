"""An independent ETSI GS QKD 014 client (PyPI: etsi-qkd-014-client) gets keys from our types and devices."""

import asyncio
import base64
from pathlib import Path

import pytest
from etsi_qkd_014_client import QKD014Client  # type: ignore[import-untyped,unused-ignore]

from tests.qkd.test_simulator import ENDS, running


@pytest.mark.parametrize("vendor", ["alder", "elm"])
def test_a_foreign_client_gets_status_keys_and_errors(vendor: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, vendor) as pair:
            here, there = (
                QKD014Client(
                    url.removeprefix("https://"),
                    *map(str, pair.authority.issue(end.sae_id)),
                    str(pair.authority.certificate),
                )
                for url, end in zip(pair.urls, ENDS, strict=True)
            )
            peers = [end.sae_id.replace("/", "%2F") for end in ENDS]
            code, status = await asyncio.to_thread(here.get_status, peers[1])
            assert (code, status.max_sae_id_count, status.source_kme_id) == (200, 0, "KME-A")
            code, first = await asyncio.to_thread(here.get_key, peers[1])
            assert (code, len(base64.b64decode(first.keys[0].key))) == (200, 32)
            code, keys = await asyncio.to_thread(here.get_key, peers[1], 3, 512)
            assert (code, len(keys.keys)) == (200, 3)
            ids = [key.key_id for key in keys.keys]
            code, same = await asyncio.to_thread(there.get_key_with_key_IDs, peers[0], ids)
            assert code == 200
            assert [key.key for key in same.keys] == [key.key for key in keys.keys]
            code, error = await asyncio.to_thread(there.get_key_with_key_IDs, peers[0], ids)
            assert code == pair.simulator.link.profile.not_found.status
            assert error.message == "one or more keys specified are not found on KME"
            code, error = await asyncio.to_thread(here.get_key, peers[1], 1, 129)
            assert (code, error.message) == (400, "size shall be a multiple of 8")

    asyncio.run(scenario())
