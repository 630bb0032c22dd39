"""The enforcement points of this configuration, opened and closed together.

In: settings and the environment. Out: responders. Tokens are read at each call, never kept.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from responders.block_ip import BlockIp, gateway_client
from streams.settings import Settings
from streams.token import token_reader


@asynccontextmanager
async def gateway_of(
    settings: Settings, environ: Mapping[str, str]
) -> AsyncIterator[BlockIp | None]:
    """The gateway, None where none is configured."""
    gateway = settings.respond.gateway
    if gateway is None:
        yield None
        return
    async with gateway_client(gateway) as client:
        yield BlockIp(gateway, client, token_reader(gateway, environ))
