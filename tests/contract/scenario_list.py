"""The scenarios of the matrix and the alerts that each of them is."""

from __future__ import annotations

from tests.contract import scenarios as the
from tests.contract.scenarios import Scenario, World

LATE = {"HighInferenceLatency", "SLOBurnRateHigh"}


def _error_burst(world: World, minutes: int) -> None:
    the.answer(world, minutes, pod="p1", errors=120)


def _slow_replica(world: World, minutes: int) -> None:
    the.answer(world, minutes, pod="p3", requests=6, late=1)


def _slow_model(world: World, minutes: int) -> None:
    for pod in ("p1", "p2"):
        the.answer(world, minutes, pod=pod, late=200)


def _little_traffic_one_failure(world: World, minutes: int) -> None:
    the.answer(world, minutes, model="quiet", pod="p4", requests=1)
    of = 'namespace="prod",job="api",instance="i-p4",pod="p4",model_name="quiet",model_version="1",status="error"'
    world[f"model_inference_requests_total{{{of}}}"] = f"0x20 1x{minutes - 21}"


def _all_replicas_dead(world: World, minutes: int) -> None:
    for part in ('model_name="m"', 'job="api"'):
        the.ends(world, part, 15)


def _half_of_the_replicas_gone(world: World, minutes: int) -> None:
    the.ends(world, 'instance="i-p2"', 40)


def _traffic_stopped(world: World, minutes: int) -> None:
    for name in world:
        if name.startswith(("model_inference_requests", "model_inference_latency")):
            per_minute = int(world[name].split("+")[1].split("x")[0])
            world[name] = f"0+{per_minute}x20 {20 * per_minute}x{minutes - 21}"


def _idle_gpu_that_a_pod_holds(world: World, minutes: int) -> None:
    the.use_gpu(world, minutes, pod="p2", percent=4)


def _idle_gpu_that_is_free(world: World, minutes: int) -> None:
    the.use_gpu(world, minutes, pod=None, percent=0)


def _late_on_idle_gpus(world: World, minutes: int, *, waiting: int | None) -> None:
    _slow_model(world, minutes)
    for pod in ("p1", "p2"):
        the.use_gpu(world, minutes, pod=pod, percent=9)
        of = f'namespace="prod",job="api",instance="i-{pod}",pod="{pod}",model_name="m",model_version="1"'
        if waiting is not None:
            world[f"model_inference_queue_depth{{{of}}}"] = f"{waiting}x{minutes}"
            world[f"model_inference_batch_size_sum{{{of}}}"] = f"0+600x{minutes}"
            world[f"model_inference_batch_size_count{{{of}}}"] = f"0+300x{minutes}"


def _starved_batching(world: World, minutes: int) -> None:
    _late_on_idle_gpus(world, minutes, waiting=30)


def _host_bound(world: World, minutes: int) -> None:
    _late_on_idle_gpus(world, minutes, waiting=0)


def _late_on_idle_gpus_no_queue(world: World, minutes: int) -> None:
    _late_on_idle_gpus(world, minutes, waiting=None)


def _drifted_feature(world: World, minutes: int) -> None:
    the.see_feature(world, minutes, "amount", the.FEATURES["amount"], [20, 40, 60, 100, 360, 20])


def _class_shift(world: World, minutes: int) -> None:
    the.see_feature(world, minutes, "prediction", the.FEATURES["prediction"], [20, 250, 30])


def _confidence_shift(world: World, minutes: int) -> None:
    the.see_feature(world, minutes, "confidence", ["00", "01", "02", "03"], [300, 50, 30, 20])


def _many_features_drift(world: World, minutes: int) -> None:
    for feature in ("amount", "age", "country"):
        the.see_feature(world, minutes, feature, the.FEATURES["amount"], [20, 40, 60, 100, 360, 20])


def _bins_without_reference(world: World, minutes: int) -> None:
    of = 'namespace="prod",job="api",pod="p2",model_name="m",model_version="1",feature="amount",bin="05"'
    world[f"model_feature_values_total{{{of}}}"] = f"0+20x{minutes}"


def _two_references(world: World, minutes: int) -> None:
    of = 'namespace="prod",job="api",pod="p2",model_name="m",model_version="1",feature="amount",bin="00"'
    world[f"model_feature_reference_ratio{{{of}}}"] = f"0.2x{minutes}"


def _failing_pipeline(world: World, minutes: int) -> None:
    of = 'namespace="prod",job="jobs",pipeline="features"'
    world[f'pipeline_runs_total{{{of},status="error"}}'] = f"0x5 1x5 2x5 3x5 4x{minutes - 24}"


def _slow_pipeline(world: World, minutes: int) -> None:
    of = 'namespace="prod",job="jobs",pipeline="features"'
    world[f"pipeline_max_duration_seconds{{{of}}}"] = f"15x{minutes}"


def _failing_canary(world: World, minutes: int) -> None:
    the.answer(world, minutes, version="2", pod="p3", requests=1200, errors=10)
    for pod in ("p1", "p2"):
        the.answer(world, minutes, pod=pod, requests=6000, errors=1)


def _slow_canary(world: World, minutes: int) -> None:
    the.answer(world, minutes, version="2", pod="p3", requests=100, middling=50)


def _overdue_pipeline(world: World, minutes: int) -> None:
    the.run_pipeline(world, minutes, succeeds_until=15)


def _stale_data(world: World, minutes: int) -> None:
    the.run_pipeline(world, minutes, data_until=5)


def _collector_down(world: World, minutes: int) -> None:
    for name in world:
        if name.startswith("up{") and "collector" in name:
            world[name] = f"1x10 0x{minutes - 11}"
    for part in ("model_", "infermeter_", "pipeline_", "otelcol_"):
        the.ends(world, part, 10)


def _one_exporter_down(world: World, minutes: int) -> None:
    world['up{job="nvidia-gpu",instance="n2:9400"}'] = f"0x{minutes}"


def _export_failing(world: World, minutes: int) -> None:
    world[the.SENT_FAILED] = f"0+300x{minutes}"


def _collector_refuses(world: World, minutes: int) -> None:
    world[the.REFUSED] = f"0+300x{minutes}"


def _services_cannot_export(world: World, minutes: int) -> None:
    world['infermeter_exports_total{namespace="prod",job="api",outcome="failure"}'] = f"0+9x{minutes}"


def _label_explosion(world: World, minutes: int) -> None:
    world['infermeter_series{namespace="prod",job="api"}'] = f"1995x{minutes}"


def _series_triple(world: World, minutes: int) -> None:
    _only(world, ("scrape_", "up"))  # a day of everything else is many steps
    world[the.SAMPLES] = f"4000x{minutes - 60} 14000x60"


def _sdk_drops(world: World, minutes: int) -> None:
    world['infermeter_dropped_total{namespace="prod",job="api",where="labels",reason="cap"}'] = f"0+40x{minutes}"


def _scrape_limit(world: World, minutes: int) -> None:
    world[the.LIMITED] = f"0+4x{minutes}"


def _rules_fail(world: World, minutes: int) -> None:
    world[the.RULE_FAILURES] = f"0+2x{minutes}"


def _rules_slow(world: World, minutes: int) -> None:
    world[the.RULE_DURATION] = f"45x{minutes}"


def _gpu(world: World, name: str, values: str) -> None:
    for series in world:
        if series.startswith(name) and 'UUID="GPU-p1"' in series:
            world[series] = values
            return
    raise AssertionError(f"no {name} in a healthy world")


def _gpu_lost(world: World, minutes: int) -> None:
    _gpu(world, "gpu_lost", f"0x10 1x{minutes - 11}")


def _gpu_error(world: World, minutes: int) -> None:
    of = 'job="nvidia-gpu",Hostname="n1",gpu="1",UUID="GPU-p1",xid="79"'
    world[f"gpu_last_xid_timestamp_seconds{{{of}}}"] = f"_x{minutes - 8} 2220x8"


def _gpu_memory(world: World, minutes: int) -> None:
    _gpu(world, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", f"0x{minutes - 9} 2x9")


def _gpu_hot(world: World, minutes: int) -> None:
    _gpu(world, "DCGM_FI_DEV_GPU_TEMP", f"91x{minutes}")


def _no_honor_labels(world: World, minutes: int) -> None:
    for name in [name for name in world if name.startswith(("DCGM", "gpu_"))]:
        shadowed = name.replace(",namespace=", ",exported_namespace=").replace(",pod=", ",exported_pod=")
        world[shadowed.replace("}", ',namespace="gpu",pod="exporter"}')] = world.pop(name)


def _sla_no_bucket(world: World, minutes: int) -> None:
    world['model_inference_sla_seconds{namespace="prod",job="api",pod="p1",model_name="m"}'] = f"0.7x{minutes}"


def _only(world: World, prefix: str | tuple[str, ...]) -> None:
    for name in [name for name in world if not name.startswith(prefix)]:
        del world[name]


def _steady_failures(world: World, minutes: int) -> None:
    _only(world, "up")
    for pod in ("p1", "p2"):
        the.answer(world, minutes, pod=pod, requests=2000, errors=19)  # 0.95 %, below what pages


def _doctor(world: World, minutes: int) -> None:
    world['infermeter_info{job="infermeter-doctor",instance="d",version="1",recorder="cells"}'] = f"1x{minutes}"


def _nothing(world: World, minutes: int) -> None:
    """Change nothing."""


def _scenario(name: str, change: object, *fires: str, minutes: int = 45, every: str = "1m") -> Scenario:
    return Scenario(name, change, frozenset(fires), minutes, every)  # type: ignore[arg-type]


SCENARIOS = (
    _scenario("all is well", _nothing),
    _scenario("error burst", _error_burst, "HighPredictionErrorRate", "SLOBurnRateHigh"),
    _scenario("slow replica, little of the traffic", _slow_replica),
    _scenario("slow model", _slow_model, *LATE),
    _scenario("low traffic with one failure", _little_traffic_one_failure),
    _scenario("steady failures, too few to page", _steady_failures, "SLOBurnRateSlow", minutes=2400, every="4m"),
    _scenario("all replicas dead", _all_replicas_dead, "ModelTelemetryMissing"),
    _scenario("half of the replicas gone", _half_of_the_replicas_gone, "ModelReplicasNotReporting", minutes=70),
    _scenario("traffic stopped", _traffic_stopped, "ModelTrafficStopped", minutes=80),
    _scenario("SLA is no bucket", _sla_no_bucket, "SLANotABucketBoundary"),
    _scenario("GPU idle and allocated", _idle_gpu_that_a_pod_holds, "LowGPUUtilization"),
    _scenario("GPU idle and free", _idle_gpu_that_is_free),
    _scenario("starved batching", _starved_batching, "InferenceBatchingMisconfigured", "LowGPUUtilization", *LATE),
    _scenario(
        "slow and GPU idle, no queue known",
        _late_on_idle_gpus_no_queue,
        "InferenceBatchingMisconfigured",
        "LowGPUUtilization",
        *LATE,
    ),
    _scenario("host-bound", _host_bound, "InferenceHostBound", "LowGPUUtilization", *LATE),
    _scenario("GPU lost", _gpu_lost, "GPULost"),
    _scenario("GPU reports XID 79", _gpu_error, "GPUXidCritical"),
    _scenario("GPU memory errors", _gpu_memory, "GPUMemoryErrors"),
    _scenario("GPU hot", _gpu_hot, "GPUHot"),
    _scenario("GPUs without honor_labels", _no_honor_labels, "GPUAttributionShadowed"),
    _scenario("failing canary", _failing_canary, "CanaryErrorRateWorse"),
    _scenario("slow canary, within the SLA", _slow_canary, "CanaryLatencyWorse"),
    _scenario("drifted feature", _drifted_feature, "FeatureDrift", minutes=100),
    _scenario("class shift", _class_shift, "PredictionDistributionShift", minutes=100),
    _scenario("confidence shift", _confidence_shift, "ConfidenceDistributionShift", minutes=100),
    _scenario(
        "three features drift together", _many_features_drift, "ManyFeaturesDrifted", "FeatureDrift", minutes=100
    ),
    _scenario("bins that the reference lacks", _bins_without_reference, "DriftReferenceMissing", minutes=100),
    _scenario("replicas with two references", _two_references, "DriftReferenceInconsistent", minutes=100),
    _scenario("pipeline's runs fail", _failing_pipeline, "PipelineLowSuccessRate"),
    _scenario("slow pipeline", _slow_pipeline, "PipelineSlow"),
    _scenario("overdue pipeline", _overdue_pipeline, "PipelineOverdue"),
    _scenario("stale data", _stale_data, "PipelineDataStale"),
    _scenario("collector down", _collector_down, "CollectorMissing", "ModelTelemetryMissing"),
    _scenario("one GPU exporter down", _one_exporter_down, "TelemetryTargetDown"),
    _scenario("collector's export failing", _export_failing, "CollectorExportFailing"),
    _scenario("collector refuses data", _collector_refuses, "CollectorRefusingData"),
    _scenario("services' exports failing", _services_cannot_export, "TelemetryExportsFailing"),
    _scenario("label explosion", _label_explosion, "TelemetryCardinalityHigh"),
    _scenario("series triple in a day", _series_triple, "TelemetryCardinalityGrowing", minutes=1500, every="4m"),
    _scenario("SDK drops measurements", _sdk_drops, "TelemetryMeasurementsDropped"),
    _scenario("scrapes over their limit", _scrape_limit, "ScrapeSampleLimitReached"),
    _scenario("rules fail", _rules_fail, "RuleEvaluationFailing"),
    _scenario("rules too slow", _rules_slow, "RuleGroupSlow"),
    _scenario("doctor at work", _doctor, "DoctorCanary"),
)
