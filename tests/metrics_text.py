"""What a page of ``/metrics`` says, for tests that look at what operators see."""

from prometheus_client.parser import text_string_to_metric_families


def metric_sum(page: str, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels; 0 where there is none."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
