"""Series that somebody else exports and that rules and dashboards of ML services read, with their labels."""

from __future__ import annotations

from infermeter.gpu.schema import COUNTERS, MIG_LABELS, POD_LABELS, PROFILES, metrics_of

# What Prometheus and the collector add to every series of a service.
TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod", "host_name"})

_TARGET = frozenset({"job", "instance"})
# Either of these reports GPUs: the SDK, the agent, dcgm-exporter (which may be scraped without honor_labels).
_GPU_LABELS = TARGET_LABELS | {"hostname", *MIG_LABELS, *POD_LABELS, "exported_namespace", "exported_pod"}

_COLLECTOR = _TARGET | {"service_instance_id", "service_name", "service_version"}
_SENT = _COLLECTOR | {"exporter"}
_RECEIVED = _COLLECTOR | {"receiver", "transport"}
_KUBE_CONTAINER = _TARGET | {"namespace", "pod", "container", "uid"}
_GROUP = _TARGET | {"rule_group"}
_SCRAPED = TARGET_LABELS
_OBJECTIVE = frozenset({"namespace", "model_name"})

# name -> (labels, whether it only grows). Collector counters exist with and without _total, depending on its version.
FOREIGN: dict[str, tuple[frozenset[str], bool]] = {
    **{
        metric.name: (frozenset(metric.labels) | _GPU_LABELS, metric.name in COUNTERS)
        for profile in PROFILES.values()
        for metric in metrics_of(profile)
    },
    "kube_pod_container_status_restarts_total": (_KUBE_CONTAINER, True),
    "kube_pod_container_resource_limits": (_KUBE_CONTAINER | {"node", "resource", "unit"}, False),
    "up": (_SCRAPED, False),
    "scrape_samples_scraped": (_SCRAPED, False),
    "scrape_samples_post_metric_relabeling": (_SCRAPED, False),
    "scrape_series_added": (_SCRAPED, False),
    "scrape_duration_seconds": (_SCRAPED, False),
    "prometheus_tsdb_head_series": (_TARGET, False),
    "prometheus_tsdb_head_samples_appended_total": (_TARGET | {"type"}, True),
    "prometheus_rule_evaluation_failures_total": (_GROUP, True),
    "prometheus_rule_group_iterations_missed_total": (_GROUP, True),
    "prometheus_rule_group_last_duration_seconds": (_GROUP, False),
    "prometheus_rule_group_interval_seconds": (_GROUP, False),
    "prometheus_rule_group_rules": (_GROUP, False),
    "prometheus_target_scrapes_exceeded_sample_limit_total": (_TARGET, True),
    "prometheus_target_scrapes_exceeded_body_size_limit_total": (_TARGET, True),
    "prometheus_notifications_dropped_total": (_TARGET, True),
    "prometheus_notifications_alertmanagers_discovered": (_TARGET, False),
    "alertmanager_notifications_failed_total": (_TARGET | {"integration", "reason"}, True),
    # Written by `infermeter slo generate` from a team's objectives, so not every label is there in ours.
    "slo:objective:ratio": (_OBJECTIVE | {"slo"}, False),
    "slo:objective_window:days": (_OBJECTIVE, False),
    "model:model_inference_sla_objective_seconds:max": (_OBJECTIVE, False),
    "ALERTS": (TARGET_LABELS | {"alertname", "alertstate", "severity", "model_name", "model_version"}, False),
    "otelcol_exporter_queue_size": (_SENT | {"data_type"}, False),
    "otelcol_exporter_queue_capacity": (_SENT | {"data_type"}, False),
    "otelcol_process_memory_rss": (_COLLECTOR, False),
    "otelcol_process_memory_rss_bytes": (_COLLECTOR, False),
    **{
        f"{name}{suffix}": (labels, True)
        for name, labels in {
            "otelcol_exporter_sent_metric_points": _SENT,
            "otelcol_exporter_send_failed_metric_points": _SENT,
            "otelcol_exporter_enqueue_failed_metric_points": _SENT,
            "otelcol_receiver_accepted_metric_points": _RECEIVED,
            "otelcol_receiver_refused_metric_points": _RECEIVED,
            "otelcol_receiver_failed_metric_points": _RECEIVED,
        }.items()
        for suffix in ("", "_total")
    },
}
