"""The client of Valkey (or Redis): timeouts short enough that a chat never waits on it."""

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tailrace.settings import Settings

#: What the client raises when the server, rather than the command, is at fault.
UNREACHABLE = (RedisError, OSError, TimeoutError)


def create_client(settings: Settings, url: SecretStr | None = None) -> Redis:
    """Return a client that connects at its first command, to the settings' server or another."""
    return Redis.from_url(
        (url or settings.redis_url).get_secret_value(),
        socket_connect_timeout=settings.redis_timeout,
        socket_timeout=settings.redis_timeout,
        # One fresh attempt covers a connection that died while idle; more would hold up a chat.
        retry=Retry(NoBackoff(), 1),
    )
