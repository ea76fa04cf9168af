//! Pod Security `restricted` (and the parts of `baseline` that it includes) for one pod template. A value that is not understood counts
//! as unsafe.

use serde_json::Value;

use super::Template;
use crate::admit::refusal::shown;
use crate::contract::Json;

const POD_FIELDS: &[&str] = &[
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

const CONTAINER_FIELDS: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "targetContainerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

const POD_SECURITY_FIELDS: &[&str] = &[
    "appArmorProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxChangePolicy",
    "seLinuxOptions",
    "seccompProfile",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
    "windowsOptions",
];

const CONTAINER_SECURITY_FIELDS: &[&str] = &[
    "allowPrivilegeEscalation",
    "appArmorProfile",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "seccompProfile",
    "windowsOptions",
];

const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SELINUX_TYPES: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// What container runtimes and their extensions obey in annotations: devices, mounts, profiles, whole machines. Pod Security does not look there.
const RUNTIMES: &[&str] =
    &["cdi.k8s.io", "cri-o", "crio.io", "io.kubernetes.cri", "io.containerd", "nri.containerd.io", "nri.io", "katacontainers"];

/// Adds what keeps the pod from being `restricted`.
pub(super) fn check(template: &Template<'_>, problems: &mut Vec<String>) {
    let spec = template.spec;
    known(spec, "spec", POD_FIELDS, problems);
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if !is_false(spec.get(field)) {
            problems.push(format!("{field} is set"));
        }
    }
    if !matches!(spec.get("hostUsers"), None | Some(Value::Null | Value::Bool(_))) {
        problems.push("hostUsers is not a boolean".to_owned());
    }
    annotations(template.metadata, problems);
    let context = spec.get("securityContext").filter(|context| !context.is_null());
    if let Some(context) = context {
        known(context, "securityContext", POD_SECURITY_FIELDS, problems);
        shared(context, "securityContext", problems);
        sysctls(context, problems);
    }
    let non_root = context.is_some_and(|context| is_true(context.get("runAsNonRoot")));
    let seccomp = context.is_some_and(|context| seccomp_is_safe(context.get("seccompProfile")));
    for (path, one) in template.containers() {
        container(one, &path, non_root, seccomp, problems);
    }
}

fn container(container: &Json, path: &str, pod_non_root: bool, pod_seccomp: bool, problems: &mut Vec<String>) {
    known(container, path, CONTAINER_FIELDS, problems);
    let empty = Value::Null;
    let context = container.get("securityContext").unwrap_or(&empty);
    known(context, &format!("{path}.securityContext"), CONTAINER_SECURITY_FIELDS, problems);
    shared(context, &format!("{path}.securityContext"), problems);
    if !is_false(context.get("privileged")) {
        problems.push(format!("{path} is privileged"));
    }
    if context.get("allowPrivilegeEscalation") != Some(&Value::Bool(false)) {
        problems.push(format!("{path}.securityContext.allowPrivilegeEscalation is not false"));
    }
    if !matches!(context.get("procMount"), None | Some(Value::Null)) && context.get("procMount").and_then(Json::as_str) != Some("Default") {
        problems.push(format!("{path}.securityContext.procMount is not Default"));
    }
    capabilities(context.get("capabilities"), path, problems);
    let non_root = match context.get("runAsNonRoot") {
        None | Some(Value::Null) => pod_non_root,
        Some(value) => is_true(Some(value)),
    };
    if !non_root {
        problems.push(format!("{path} may run as root: runAsNonRoot is not true"));
    }
    let seccomp = match context.get("seccompProfile") {
        None | Some(Value::Null) => pod_seccomp,
        profile => seccomp_is_safe(profile),
    };
    if !seccomp {
        problems.push(format!("{path} has no seccompProfile of type RuntimeDefault or Localhost"));
    }
    for port in list(container, "ports") {
        if !matches!(port.get("hostPort"), None | Some(Value::Null)) && port.get("hostPort").and_then(Json::as_u64) != Some(0) {
            problems.push(format!("{path}.ports has a hostPort"));
        }
    }
    for mount in list(container, "volumeMounts") {
        let propagation = mount.get("mountPropagation").filter(|value| !value.is_null());
        if propagation.is_some_and(|value| !matches!(value.as_str(), Some("None" | "HostToContainer"))) {
            problems.push(format!("{path}.volumeMounts has a mount that propagates to the host"));
        }
    }
    let handlers = ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];
    for handler in handlers.iter().filter_map(|pointer| container.pointer(pointer)) {
        for kind in ["httpGet", "tcpSocket"] {
            let host = handler.get(kind).and_then(|action| action.get("host")).filter(|host| !host.is_null());
            if host.is_some_and(|host| host.as_str() != Some("")) {
                problems.push(format!("{path} has a probe or hook that connects to another host"));
            }
        }
    }
}

/// Fields that pods and containers share.
fn shared(context: &Json, path: &str, problems: &mut Vec<String>) {
    if context.get("runAsUser").is_some_and(|user| !user.is_null() && user.as_u64().is_none_or(|uid| uid == 0)) {
        problems.push(format!("{path}.runAsUser is root"));
    }
    if !matches!(context.get("runAsNonRoot"), None | Some(Value::Null | Value::Bool(true))) {
        problems.push(format!("{path}.runAsNonRoot is not true"));
    }
    if context.get("seccompProfile").is_some_and(|profile| !profile.is_null() && !seccomp_is_safe(Some(profile))) {
        problems.push(format!("{path}.seccompProfile is neither RuntimeDefault nor Localhost"));
    }
    if context.get("appArmorProfile").is_some_and(|profile| !profile.is_null() && !seccomp_is_safe(Some(profile))) {
        problems.push(format!("{path}.appArmorProfile is neither RuntimeDefault nor Localhost"));
    }
    if let Some(options) = context.get("seLinuxOptions").filter(|options| !options.is_null()) {
        let text = |field: &str| match options.get(field) {
            None | Some(Value::Null) => Some(""),
            Some(value) => value.as_str(),
        };
        let safe = text("type").is_some_and(|kind| SELINUX_TYPES.contains(&kind)) && text("user") == Some("") && text("role") == Some("");
        if !safe {
            problems.push(format!("{path}.seLinuxOptions is not one of a container"));
        }
    }
    if context.get("windowsOptions").is_some_and(|options| !options.is_null() && !is_false(options.get("hostProcess"))) {
        problems.push(format!("{path}.windowsOptions.hostProcess is set"));
    }
}

fn capabilities(capabilities: Option<&Json>, path: &str, problems: &mut Vec<String>) {
    let names = |field: &str| capabilities.map(|capabilities| list(capabilities, field)).unwrap_or_default();
    if !names("drop").iter().any(|name| name.as_str() == Some("ALL")) {
        problems.push(format!("{path}.securityContext.capabilities.drop has no ALL"));
    }
    let added = capabilities.and_then(|capabilities| capabilities.get("add")).filter(|add| !add.is_null());
    let safe =
        added.is_none_or(|add| add.as_array().is_some_and(|names| names.iter().all(|name| name.as_str() == Some("NET_BIND_SERVICE"))));
    if !safe {
        problems.push(format!("{path} adds capabilities beyond NET_BIND_SERVICE"));
    }
}

fn sysctls(context: &Json, problems: &mut Vec<String>) {
    let safe = |sysctl: &Json| sysctl.get("name").and_then(Json::as_str).is_some_and(|name| SAFE_SYSCTLS.contains(&name));
    let set = context.get("sysctls").filter(|sysctls| !sysctls.is_null());
    if set.is_some_and(|set| !set.as_array().is_some_and(|set| set.iter().all(safe))) {
        problems.push("securityContext.sysctls holds one that is not safe".to_owned());
    }
}

/// Profiles that were once set by annotation, and what reaches the node past every field.
pub(super) fn annotations(metadata: Option<&Json>, problems: &mut Vec<String>) {
    let annotations = metadata.and_then(|metadata| metadata.get("annotations")).and_then(Json::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        let profile = key.starts_with("container.apparmor.security.beta.kubernetes.io/")
            || key.starts_with("container.seccomp.security.alpha.kubernetes.io/")
            || key == "seccomp.security.alpha.kubernetes.io/pod";
        if profile && value.as_str() != Some("runtime/default") {
            problems.push(format!("the annotation {} is not runtime/default", shown(key)));
        }
        if RUNTIMES.iter().any(|runtime| key.contains(runtime)) {
            problems.push(format!("the annotation {} asks the node's container runtime for more than a pod's fields can", shown(key)));
        }
    }
}

fn seccomp_is_safe(profile: Option<&Json>) -> bool {
    profile
        .and_then(|profile| profile.get("type"))
        .and_then(Json::as_str)
        .is_some_and(|kind| matches!(kind, "RuntimeDefault" | "Localhost"))
}

fn known(value: &Json, path: &str, fields: &[&str], problems: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(found) => {
            for (field, value) in found {
                if !fields.contains(&field.as_str()) && !value.is_null() {
                    problems.push(format!("{path}.{} is not among the fields that are known to be safe", shown(field)));
                }
            }
        }
        _ => problems.push(format!("{path} is not an object")),
    }
}

fn list<'a>(value: &'a Json, field: &str) -> &'a [Json] {
    value.get(field).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_false(value: Option<&Json>) -> bool {
    matches!(value, None | Some(Value::Null | Value::Bool(false)))
}

fn is_true(value: Option<&Json>) -> bool {
    value == Some(&Value::Bool(true))
}
