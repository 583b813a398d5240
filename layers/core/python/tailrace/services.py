"""What every function shares: settings, pool, Valkey client, queue and providers, made once.

Making a `Services` does no input or output, so that it can stand at a module's top.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from tailrace.db.pool import Pool, create_pool
from tailrace.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from tailrace.attachments.library import Library
    from tailrace.auth.oidc import Provider as IdentityProvider
    from tailrace.cursor import Cursors
    from tailrace.limits.limiter import Limiter
    from tailrace.mail import Mailer
    from tailrace.maintenance.archive import Shelf
    from tailrace.providers.registry import Providers
    from tailrace.providers.router import Router
    from tailrace.queue.base import Queue


class Services:
    """The parts a request or a schedule works with.

    What one function never uses (a provider in ingestion, say) is never imported by it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: When this process last could not find out who had called (`tailrace.presence`), in
        #: seconds since 1970.
        self.presence_unknown_at = 0.0

    @cached_property
    def pool(self) -> Pool:
        return create_pool(self.settings)

    @cached_property
    def redis(self) -> "Redis":
        from tailrace.valkey import create_client

        return create_client(self.settings)

    @cached_property
    def queue(self) -> "Queue":
        from tailrace import queue

        return queue.create(self)

    @cached_property
    def providers(self) -> "Providers":
        from tailrace.providers.registry import Providers

        return Providers(self.settings)

    @cached_property
    def router(self) -> "Router":
        from tailrace.providers.health import Health
        from tailrace.providers.router import Router

        return Router(self.settings, Health(self.redis, self.settings))

    @cached_property
    def mailer(self) -> "Mailer | None":
        from tailrace import mail

        return mail.create(self.settings)

    @cached_property
    def files(self) -> "Library":
        """The files of messages."""
        from tailrace.attachments import create_store
        from tailrace.attachments.library import Library

        return Library(self.pool, self.settings, create_store(self.settings))

    @cached_property
    def shelf(self) -> "Shelf | None":
        """Where partitions are archived, where the settings name a place."""
        from tailrace.maintenance import archive

        return archive.create(self.settings)

    @cached_property
    def oidc(self) -> "IdentityProvider":
        """The identity provider, where the settings name one."""
        from tailrace.auth.oidc import Provider

        return Provider(self.settings)

    @cached_property
    def limiter(self) -> "Limiter":
        from tailrace.limits.limiter import Limiter

        return Limiter(self.redis, self.settings)

    @cached_property
    def cursors(self) -> "Cursors":
        from tailrace.cursor import Cursors

        return Cursors(self.settings.secret_key.get_secret_value())

    async def open(self) -> None:
        """Start the pool; returns at once, whether or not the database answers."""
        await self.pool.open(wait=False)
        await self.queue.open()

    async def close(self) -> None:
        """Close what was made."""
        made = self.__dict__
        if "providers" in made:
            await self.providers.close()
        if "queue" in made:
            await self.queue.close()
        if "redis" in made:
            await self.redis.aclose()
        await self.pool.close()
