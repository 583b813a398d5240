"""A month's bill of a stack under a load.

No free tier is taken off: an account has each but once, and some for a year alone. Models, support
and taxes are not in it, nor what `Network=public` leaves to others: PostgreSQL and Valkey.
"""

import math
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from bench.cost import metrics
from bench.cost.stack import Stack
from tailrace.settings import Settings

#: Seconds and hours of a month, as AWS reckons.
HOURS = 730
MONTH = HOURS * 3600

#: Chats a month beyond which prices fall with volume, so that the list's first ones no longer hold.
MOST_CHATS = 15_000_000

_FOLDER = Path(__file__).parent
_GB = 1e9
# Bytes of an answer that Lambda streams for nothing.
_STREAMED_FREE = 6 << 20
# Least that a sleeping Aurora wakes to, in capacity units.
_LEAST_UNITS = 0.5
# GB that ElastiCache Serverless charges for at least.
_LEAST_VALKEY = 0.1
# What Lambda asks an empty queue with: this many at once, for so many seconds each.
_POLLERS, _POLL = 5, 20
# Messages of SQS in a request.
_SQS_BATCH = 10
# X-Ray's default rule: one request in a second, and of the rest a twentieth.
_TRACED = 0.05
# A capacity unit of a load balancer: new connections a second, open ones, and GB an hour.
_LCU = (25, 3000, 1)
# Zones, and so addresses, of a load balancer.
_ZONES = 2

#: What runs the code.
Compute = Literal["functions", "container"]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text())


PRICES = _read("prices")
WORKLOAD = SimpleNamespace(**{name: told["value"] for name, told in _read("workload").items()})


class Load:
    """What so many chats a month mean, spread like `WORKLOAD` has it."""

    def __init__(self, chats: float) -> None:
        if not 0 <= chats <= MOST_CHATS:
            raise ValueError(f"chats a month are 0 to {MOST_CHATS:,}")
        self.chats = chats
        self.turns = chats * WORKLOAD.turns
        # Each answer is a call of a model, and so is a chat's title.
        self.events = self.turns + chats
        self.api_requests = chats * WORKLOAD.api_requests
        #: Requests that reach what stands in front.
        self.requests = self.turns + self.api_requests + chats * WORKLOAD.page_files
        self.answer_bytes = WORKLOAD.answer_tokens * WORKLOAD.chunk_bytes
        #: Bytes that reach visitors.
        self.sent_bytes = (
            self.turns * self.answer_bytes
            + self.api_requests * WORKLOAD.api_bytes
            + chats * WORKLOAD.page_bytes
        )
        self.files = chats * WORKLOAD.file_share

    @property
    def answers_at_peak(self) -> float:
        """Answers that stream at the same time in the busiest hour."""
        return self.turns * WORKLOAD.answer_seconds / MONTH * WORKLOAD.peak

    @property
    def database_seconds(self) -> float:
        """Seconds of a processor that PostgreSQL works."""
        turn = WORKLOAD.begin_turn_seconds + WORKLOAD.finish_message_seconds
        other = self.api_requests * WORKLOAD.api_database_seconds
        return self.turns * turn + other + self.events / WORKLOAD.events_a_second

    @property
    def database_gb(self) -> float:
        """What PostgreSQL keeps."""
        month = 2 * self.turns * WORKLOAD.message_bytes + self.events * WORKLOAD.event_row_bytes
        return month * WORKLOAD.months_kept / _GB

    @property
    def tasks(self) -> int:
        """Tasks of a container of one processor each."""
        relayed = WORKLOAD.answer_tokens / WORKLOAD.relay_chunks_a_second
        appends = WORKLOAD.answer_seconds * WORKLOAD.appends_a_second * WORKLOAD.append_seconds
        turn = WORKLOAD.start_seconds + relayed + appends
        work = self.turns * turn + self.api_requests * WORKLOAD.api_processor_seconds
        return max(WORKLOAD.tasks, math.ceil(work / MONTH * WORKLOAD.peak / WORKLOAD.utilisation))


def database_class(load: Load, smallest: str) -> str:
    """Return the class of RDS, `smallest` or a larger one, whose processors suffice.

    Raises
    ------
    ValueError
        When none in the list of prices does.
    """
    classes = list(PRICES["rds_hour"])
    for name in classes[classes.index(smallest) :]:
        usable = PRICES["rds_hour"][name]["processors"] * WORKLOAD.utilisation
        if load.database_seconds / MONTH * WORKLOAD.peak <= usable:
            return name
    raise ValueError("no class of RDS in prices.toml is large enough")


class Bill:
    """What `stack` costs in a month of `load`, as dollars by line, in ``lines``.

    ``used`` names the prices that were asked for, whether or not there was something to pay.
    """

    def __init__(self, stack: Stack, load: Load, compute: Compute = "functions") -> None:
        self.lines: dict[str, float] = {}
        self.used: set[str] = set()
        self._stack, self._load, self._compute = stack, load, compute
        if compute == "functions":
            self._functions()
        else:
            self._container()
        self._database()
        self._valkey()
        self._front()
        self._queue()
        self._files()
        self._watching()
        self._secrets()
        self._network()

    @property
    def total(self) -> float:
        """Dollars in all."""
        return sum(self.lines.values())

    def _add(self, line: str, price: str, quantity: float, of: str | None = None) -> None:
        told = PRICES[price] if of is None else PRICES[price][of]
        self.used.add(price)
        self.lines[line] = self.lines.get(line, 0.0) + told["usd"] * quantity

    @property
    def _runs(self) -> float:
        """Scheduled runs of one function."""
        return MONTH / self._stack.period

    @cached_property
    def _schedules(self) -> dict[str, int]:
        """How many schedules call which function."""
        return {
            name: sum(event["Type"] == "ScheduleV2" for event in told.get("Events", {}).values())
            for name, told in self._stack.functions.items()
        }

    @cached_property
    def _invocations(self) -> dict[str, tuple[float, float, float]]:
        """Invocations of each function, their seconds, and starts among them."""
        load, found = self._load, {}
        for name, schedules in self._schedules.items():
            count, seconds = schedules * self._runs, WORKLOAD.run_seconds
            if name == "ChatFunction":
                count, seconds = load.turns, WORKLOAD.answer_seconds
            elif name == "ApiFunction":
                count, seconds = load.api_requests, WORKLOAD.api_seconds
            elif name == "IngestFunction":
                count += sum(min(load.events, MONTH / window) for window in self._windows)
            busy = count * seconds
            if name == "IngestFunction":
                busy += load.events / WORKLOAD.events_a_second
            instances = math.ceil(busy / MONTH * WORKLOAD.peak)
            starts = min(count, instances * MONTH / WORKLOAD.instance_seconds)
            found[name] = count, busy, starts
        return found

    @property
    def _windows(self) -> Iterable[float]:
        """Seconds between two batches of each event source."""
        sources = self._stack.of_type("AWS::Lambda::EventSourceMapping").values()
        return [source["MaximumBatchingWindowInSeconds"] for source in sources]

    @property
    def _starts(self) -> float:
        if self._compute == "container":
            return self._load.tasks
        return sum(starts for _, _, starts in self._invocations.values())

    def _functions(self) -> None:
        line = "Functions"
        for name, (count, busy, starts) in self._invocations.items():
            told = self._stack.functions[name]
            memory = told["MemorySize"] / 1024
            if told["Architectures"] != ["arm64"]:
                raise ValueError(f"{name} is not of arm64, whose prices these are")
            is_chat = name == "ChatFunction"
            init = WORKLOAD.chat_init_seconds if is_chat else WORKLOAD.other_init_seconds
            self._add(line, "lambda_request", count)
            self._add(line, "lambda_gb_second", (busy + starts * init) * memory)
            self._add(line, "scheduler_invocation", self._schedules[name] * self._runs)
            if is_chat:
                beyond = max(0, self._load.answer_bytes - _STREAMED_FREE)
                self._add(line, "lambda_streamed_gb", count * beyond / _GB)
                kept = memory * MONTH
                warm = int(self._stack.parameters["ChatProvisioned"])
                self._add(line, "lambda_provisioned_gb_second", kept * warm)
                snapshots = told["SnapStart"]["ApplyOn"] == "PublishedVersions"
                self._add(line, "lambda_snapshot_gb_second", kept * snapshots)
                self._add(line, "lambda_restored_gb", starts * memory * snapshots)

    def _container(self) -> None:
        line, tasks = "Container", self._load.tasks
        self._add(line, "fargate_vcpu_hour", tasks * HOURS)
        self._add(line, "fargate_gb_hour", tasks * 2 * HOURS)
        self._add(line, "ecr_gb_month", WORKLOAD.image_gb)
        self._add(line, "alb_hour", HOURS)
        self._add(line, "ipv4_hour", _ZONES * HOURS)
        uses = (
            self._load.requests / MONTH,
            self._load.answers_at_peak / WORKLOAD.peak,
            self._load.sent_bytes / _GB / HOURS,
        )
        units = max(use / unit for use, unit in zip(uses, _LCU, strict=True))
        self._add(line, "alb_lcu_hour", units * HOURS)

    def _database(self) -> None:
        line, load = "PostgreSQL", self._load
        for cluster in self._stack.of_type("AWS::RDS::DBCluster").values():
            scaling = cluster["ServerlessV2ScalingConfiguration"]
            least = max(_LEAST_UNITS, scaling["MinCapacity"])
            awake = self._awake(scaling)
            busy = load.database_seconds / 3600 * WORKLOAD.units_a_processor / WORKLOAD.utilisation
            self._add(line, "aurora_acu_hour", awake * least * HOURS + busy)
            self._add(line, "aurora_gb_month", load.database_gb)
            runs = sum(self._schedules.values()) * self._runs * awake
            ios = load.turns * WORKLOAD.turn_ios + runs * WORKLOAD.run_ios
            self._add(line, "aurora_io", ios)
        for instance in self._stack.of_type("AWS::RDS::DBInstance").values():
            if instance["Engine"] == "postgres":
                size = database_class(load, instance["DBInstanceClass"])
                self._add(line, "rds_hour", HOURS, of=size)
                stored = max(float(instance["AllocatedStorage"]), load.database_gb)
                self._add(line, "rds_gb_month", stored)

    @property
    def _rests(self) -> bool:
        """Whether schedules leave the database alone while nobody calls."""
        sleeps = self._stack.environment["TAILRACE_DATABASE_SLEEPS"] == "true"
        return sleeps and self._compute == "functions"

    def _awake(self, scaling: dict[str, Any]) -> float:
        """Return the share of a month in which Aurora is awake: for a while after each use."""
        if not self._rests or scaling["MinCapacity"] > 0:
            return 1.0
        after = WORKLOAD.let_go_seconds + scaling["SecondsUntilAutoPause"]
        chat = WORKLOAD.turns * (WORKLOAD.answer_seconds + WORKLOAD.reading_seconds) + after
        # Chats come by chance, independent of one another and of the schedules.
        alone = math.exp(-self._load.chats * chat / MONTH)
        return 1 - (1 - after / max(after, WORKLOAD.look_seconds)) * alone

    def _valkey(self) -> None:
        load = self._load
        if not self._stack.of_type("AWS::ElastiCache::ServerlessCache"):
            return
        kept = load.turns * load.answer_bytes / MONTH * Settings.model_fields["journal_ttl"].default
        self._add("Valkey", "valkey_gb_hour", max(_LEAST_VALKEY, kept / _GB) * HOURS)
        appends = WORKLOAD.answer_seconds * WORKLOAD.appends_a_second * 2
        runs = sum(self._schedules.values()) * self._runs
        commands = load.turns * (appends + WORKLOAD.turn_commands)
        commands += (runs + load.api_requests) * WORKLOAD.run_commands
        self._add("Valkey", "valkey_ecpu", commands)

    def _front(self) -> None:
        line, load = "Front", self._load
        for _ in self._stack.of_type("AWS::CloudFront::Distribution"):
            self._add(line, "cloudfront_request", load.requests)
            self._add(line, "cloudfront_function", load.requests)
            self._add(line, "cloudfront_gb", load.sent_bytes / _GB)
        for _ in self._stack.of_type("AWS::Serverless::Api"):
            self._add(line, "gateway_request", load.requests)
            self._add(line, "internet_gb", load.sent_bytes / _GB)
            self._add(line, "s3_get", load.chats * WORKLOAD.page_files)
        for firewall in self._stack.of_type("AWS::WAFv2::WebACL").values():
            self._add(line, "waf_acl_month", 1)
            self._add(line, "waf_rule_month", len(firewall["Rules"]))
            self._add(line, "waf_request", load.requests)

    def _queue(self) -> None:
        for _ in self._windows:
            # Sent one by one, received and deleted by ten.
            requests = self._load.events * (1 + 2 / _SQS_BATCH) + _POLLERS * MONTH / _POLL
            # Ingestion and maintenance look, too: at the queue, and at the one of dead letters.
            looks = sum(self._schedules.values()) * self._runs * 2
            self._add("Queue", "sqs_request", requests + looks)

    def _files(self) -> None:
        line, files = "Files", self._load.files
        self._add(line, "s3_put", files)
        self._add(line, "s3_get", files * 2)
        kept = files * WORKLOAD.file_bytes / _GB
        self._add(line, "s3_gb_month", kept * WORKLOAD.months_kept)
        self._add(line, "internet_gb", kept * 2)

    def _watching(self) -> None:
        line, load = "Metrics, alarms, logs", self._load
        self._add(line, "alarm_month", len(self._stack.of_type("AWS::CloudWatch::Alarm")))
        self._add(line, "dashboard_month", len(self._stack.of_type("AWS::CloudWatch::Dashboard")))
        # A metric is charged for the hours in which it is written.
        scheduled = min(1, 3600 / self._stack.period)
        unused = math.exp(-load.chats / HOURS)
        self._add(line, "metric_month", (metrics.of_calls() + metrics.of_work()) * (1 - unused))
        # At rest as well.
        self._add(line, "metric_month", metrics.gauges() * scheduled)
        requests = load.turns + load.api_requests
        runs = sum(self._schedules.values()) * self._runs
        logged = requests * WORKLOAD.request_log_bytes + runs * WORKLOAD.run_log_bytes
        self._add(line, "logs_gb", logged / _GB)
        days = int(self._stack.parameters["LogRetentionDays"])
        self._add(line, "logs_gb_month", logged / _GB * days / (HOURS / 24))
        if self._compute == "functions":
            invoked = sum(count for count, _, _ in self._invocations.values())
            first = min(invoked, MONTH)
            self._add(line, "trace", first + (invoked - first) * _TRACED)

    def _secrets(self) -> None:
        secrets = len(self._stack.of_type("AWS::SecretsManager::Secret"))
        self._add("Secrets", "secret_month", secrets)
        self._add("Secrets", "secret_request", self._starts * WORKLOAD.secrets_read)

    def _network(self) -> None:
        line, turns = "Network", self._load.turns
        to_models = turns * WORKLOAD.provider_sent_bytes / _GB
        inner = turns * WORKLOAD.inner_bytes / _GB
        self._add(line, "internet_gb", to_models)
        if self._stack.of_type("AWS::EC2::Subnet"):
            # Every second one is in the other zone than what it asks.
            self._add(line, "between_zones_gb", inner / 2)
        else:
            self._add(line, "internet_gb", inner)
        for _ in self._stack.of_type("AWS::EC2::NatGateway"):
            self._add(line, "nat_hour", HOURS)
            received = turns * WORKLOAD.provider_received_bytes / _GB
            self._add(line, "nat_gb", to_models + received)
        self._add(line, "ipv4_hour", len(self._stack.of_type("AWS::EC2::EIP")) * HOURS)
