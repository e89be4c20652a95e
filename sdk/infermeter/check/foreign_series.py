"""Series that somebody else exports and that rules and dashboards of ML services read, with their labels. Data only."""

from __future__ import annotations

# What Prometheus and the collector add to every series of a service.
TARGET_LABELS = frozenset({"job", "instance", "namespace", "pod", "host_name"})

_TARGET = frozenset({"job", "instance"})
_GPU_LABELS = TARGET_LABELS | {
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "hostname",
    "GPU_I_ID",
    "GPU_I_PROFILE",
    "container",
    "exported_namespace",
    "exported_pod",
}
_GPU_NAMES = (
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_GPU_UTIL_RATIO",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO",
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "DCGM_FI_DEV_MEMORY_UTIL_RATIO",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_USED_BYTES",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_FREE_BYTES",
    "DCGM_FI_DEV_FB_RESERVED",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_GPU_TEMP_CELSIUS",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_BOARD_POWER_WATTS",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_XID_ERROR",
)

_COLLECTOR = _TARGET | {"service_instance_id", "service_name", "service_version"}
_SENT = _COLLECTOR | {"exporter"}
_RECEIVED = _COLLECTOR | {"receiver", "transport"}
_KUBE_CONTAINER = _TARGET | {"namespace", "pod", "container", "uid"}
_GROUP = _TARGET | {"rule_group"}
_SCRAPED = TARGET_LABELS

# name -> (labels, whether it only grows). Collector counters exist with and without _total, depending on its version.
FOREIGN: dict[str, tuple[frozenset[str], bool]] = {
    **dict.fromkeys(_GPU_NAMES, (_GPU_LABELS, False)),
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
