"""Figures in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Gauges = Iterator[GaugeMetricFamily]


def gauge(
    name: str,
    meaning: str,
    values: Iterable[tuple[tuple[str, ...], float | None]],
    *labels: str,
) -> GaugeMetricFamily:
    """A family of figures; what is not known is left out."""
    family = GaugeMetricFamily(f"vedetta_{name}", meaning, labels=labels)
    for label_values, value in values:
        if value is not None:
            family.add_metric(label_values, float(value))
    return family


class _Told(Collector):
    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Gauges:
        yield from self._families


def text_of(families: Iterable[GaugeMetricFamily]) -> bytes:
    """These families as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(families))
    return bytes(generate_latest(registry))


def label(value: str) -> str:
    """The value of a label, as it stands between quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def head(name: str, meaning: str) -> str:
    """What stands before the figures of a family."""
    return text_of([gauge(name, meaning, [])]).decode()
