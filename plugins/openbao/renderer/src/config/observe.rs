//! Telemetry and audit devices.

use banhbaoring_openbao_api::{AuditDevice, TelemetrySpec};
use banhbaoring_sdk::Failure;

use super::AUDIT_DIR;
use crate::cluster::Cluster;
use crate::hcl::{Body, is_identifier};
use crate::version::Feature;

pub(super) fn telemetry(top: Body, spec: Option<&TelemetrySpec>) -> Body {
    let Some(spec) = spec else { return top };
    let TelemetrySpec {
        prometheus_retention_time,
        disable_hostname,
        metrics_prefix,
        usage_gauge_period,
        // Belongs to the listener.
        unauthenticated_metrics_access: _,
        // An object of its own.
        service_monitor: _,
    } = spec;
    let body = Body::new()
        .attribute("prometheus_retention_time", prometheus_retention_time.as_str())
        .attribute("disable_hostname", *disable_hostname)
        .optional("metrics_prefix", metrics_prefix.clone())
        .optional("usage_gauge_period", usage_gauge_period.clone());
    top.block("telemetry", [] as [&str; 0], body)
}

pub(super) fn audit(top: Body, cluster: &Cluster, devices: &[AuditDevice]) -> Result<Body, Failure> {
    if devices.is_empty() {
        return Ok(top);
    }
    cluster.version.require(Feature::DeclarativeAudit, "spec.audit", "leave spec.audit out")?;
    let mut top = top;
    for (index, audit) in devices.iter().enumerate() {
        let AuditDevice { device, path, description, options } = audit;
        if let Some(key) = options.keys().find(|key| !is_identifier(key)) {
            let found = key.chars().take(80).collect::<String>();
            return Err(Failure::invalid(
                format!("spec.audit[{index}].options"),
                format!("expected options by their official names such as `file_path`, found `{found}`"),
            ));
        }
        if device == "file" {
            writable(cluster, index, options.get("file_path"))?;
        }
        let values = options.iter().fold(Body::new(), |body, (key, value)| body.attribute(key.as_str(), value.as_str()));
        let body = Body::new().optional("description", description.clone()).filled("options", values);
        // The reader keeps the labels as they are, and a path ends in a slash nowhere else either.
        top = top.block("audit", [device.as_str(), path.as_str()], body);
    }
    Ok(top)
}

/// The root file system is read-only: a device that cannot write makes OpenBao refuse every request.
fn writable(cluster: &Cluster, index: usize, file: Option<&String>) -> Result<(), Failure> {
    let field = format!("spec.audit[{index}].options.file_path");
    let Some(file) = file else {
        return Err(Failure::invalid(field, "an audit device of type file needs a file_path: stdout, discard or a path below /bao/audit"));
    };
    if matches!(file.as_str(), "stdout" | "discard") {
        return Ok(());
    }
    let below = file.strip_prefix(AUDIT_DIR).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
    if !below || file.split('/').any(|part| part == "..") {
        return Err(Failure::invalid(
            field,
            format!("expected stdout, discard or a path below {AUDIT_DIR}, found `{file}`: the rest of the file system is read-only"),
        ));
    }
    if cluster.spec.audit_storage.is_none() {
        return Err(Failure::invalid(
            "spec.auditStorage",
            format!("{field} is below {AUDIT_DIR}, which is a volume of its own: set spec.auditStorage, or log to stdout"),
        ));
    }
    Ok(())
}
