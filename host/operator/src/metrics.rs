//! The host's metrics, named as spec/banhbaoring-operator.md §9.1 names them, and those that components report. Labels are bounded: names
//! of kinds, plugins, owners and components; never a message.

use std::collections::BTreeMap;
use std::sync::Mutex;

use banhbaoring_pipeline::contract::{Metric, MetricDescriptor, MetricType};
use banhbaoring_pipeline::report::ComponentState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Label set of a controller: the kind that it reconciles, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: String,
}

/// Label set of a component of an owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Component {
    namespace: String,
    cluster: String,
    kind: String,
    component: String,
}

/// Label set of an active plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
    version: String,
}

/// Label set of a reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    plugin: String,
    reason: String,
}

/// Label set of a verdict on a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    plugin: String,
    verdict: &'static str,
}

/// What came of a question about a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It goes on.
    Allowed,
    /// It does not.
    Denied,
    /// It goes on without a verdict.
    Failed,
}

/// All metrics of one host process.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Controller, Counter>,
    errors: Family<Controller, Counter>,
    durations: Family<Controller, Histogram, fn() -> Histogram>,
    status: Family<Component, Gauge>,
    unchanged: Family<Controller, Counter>,
    writes: Family<Controller, Counter>,
    plugins: Family<PluginLabels, Gauge>,
    refusals: Family<Reason, Counter>,
    verdicts: Family<Verdict, Counter>,
    leading: Gauge,
    reported: std::sync::Arc<Reported>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            reconciles: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 2.0, 16))),
            status: Family::default(),
            unchanged: Family::default(),
            writes: Family::default(),
            plugins: Family::default(),
            refusals: Family::default(),
            verdicts: Family::default(),
            leading: Gauge::default(),
            reported: std::sync::Arc::default(),
            registry: Registry::default(),
        };
        registry.register("banhbaoring_reconcile", "Reconciles that were started", metrics.reconciles.clone());
        registry.register("banhbaoring_reconcile_errors", "Reconciles that ended in an error", metrics.errors.clone());
        registry.register("banhbaoring_reconcile_duration_seconds", "How long reconciles took", metrics.durations.clone());
        registry.register("banhbaoring_cluster_status", "1 where the component is ready, else 0", metrics.status.clone());
        let unchanged = "Reconciles that ended after observing: nothing had changed since one that found nothing to do";
        registry.register("banhbaoring_reconcile_unchanged", unchanged, metrics.unchanged.clone());
        registry.register("banhbaoring_child_writes", "Writes of children that were sent", metrics.writes.clone());
        registry.register("banhbaoring_plugin_active", "1 for the version of a plugin that serves", metrics.plugins.clone());
        registry.register("banhbaoring_plugin_failures", "Lifecycle steps of plugins that failed", metrics.refusals.clone());
        registry.register("banhbaoring_reviews", "Writes that plugins were asked about, by verdict", metrics.verdicts.clone());
        registry.register("banhbaoring_leading", "1 where this replica leads", metrics.leading.clone());
        registry.register_collector(Box::new(Forward(metrics.reported.clone())));
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// One reconcile of a kind ended.
    pub fn reconciled(&self, kind: &str, seconds: f64, failed: bool) {
        let labels = controller(kind);
        self.reconciles.get_or_create(&labels).inc();
        self.durations.get_or_create(&labels).observe(seconds);
        if failed {
            self.errors.get_or_create(&labels).inc();
        }
    }

    /// A reconcile found that nothing had changed.
    pub fn unchanged(&self, kind: &str) {
        self.unchanged.get_or_create(&controller(kind)).inc();
    }

    /// Writes of children were sent.
    pub fn wrote(&self, kind: &str, count: u64) {
        self.writes.get_or_create(&controller(kind)).inc_by(count);
    }

    /// How a component of an owner fares.
    pub fn component(&self, namespace: &str, name: &str, kind: &str, component: &str, state: ComponentState) {
        let ready = matches!(state, ComponentState::Ready | ComponentState::Disabled);
        self.status.get_or_create(&labels(namespace, name, kind, component)).set(i64::from(ready));
    }

    /// An owner is gone: its series go with it.
    pub fn forget(&self, namespace: &str, name: &str, kind: &str, components: &[String]) {
        for component in components {
            self.status.remove(&labels(namespace, name, kind, component));
        }
        self.reported.forget(&format!("{kind}/{namespace}/{name}"));
    }

    /// A version of a plugin serves.
    pub fn activated(&self, plugin: &str, version: &str) {
        self.plugins.get_or_create(&PluginLabels { plugin: plugin.to_owned(), version: version.to_owned() }).set(1);
    }

    /// A version of a plugin no longer serves.
    pub fn deactivated(&self, plugin: &str, version: &str) {
        self.plugins.remove(&PluginLabels { plugin: plugin.to_owned(), version: version.to_owned() });
    }

    /// A lifecycle step of a plugin failed, for one of the bounded reasons.
    pub fn plugin_failed(&self, plugin: &str, reason: &str) {
        self.refusals.get_or_create(&Reason { plugin: plugin.to_owned(), reason: reason.to_owned() }).inc();
    }

    /// A plugin was asked about a write.
    pub fn judged(&self, plugin: &str, judged: Judged) {
        let verdict = match judged {
            Judged::Allowed => "allowed",
            Judged::Denied => "denied",
            Judged::Failed => "failed",
        };
        self.verdicts.get_or_create(&Verdict { plugin: plugin.to_owned(), verdict }).inc();
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// What the components of an owner reported; replaces what they reported before.
    pub fn report(&self, owner: &str, metrics: Vec<(MetricDescriptor, Metric)>) {
        self.reported.replace(owner, metrics);
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// Formatting failed.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn controller(kind: &str) -> Controller {
    Controller { controller: kind.to_lowercase() }
}

fn labels(namespace: &str, name: &str, kind: &str, component: &str) -> Component {
    Component { namespace: namespace.to_owned(), cluster: name.to_owned(), kind: kind.to_owned(), component: component.to_owned() }
}

/// What components reported, by owner.
#[derive(Debug, Default)]
struct Reported(Mutex<BTreeMap<String, Vec<(MetricDescriptor, Metric)>>>);

impl Reported {
    fn replace(&self, owner: &str, metrics: Vec<(MetricDescriptor, Metric)>) {
        let mut owners = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if metrics.is_empty() {
            owners.remove(owner);
        } else {
            owners.insert(owner.to_owned(), metrics);
        }
    }

    fn forget(&self, owner: &str) {
        self.replace(owner, Vec::new());
    }
}

#[derive(Debug)]
struct Forward(std::sync::Arc<Reported>);

impl Collector for Forward {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let owners = self.0.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut families: BTreeMap<&str, Vec<&(MetricDescriptor, Metric)>> = BTreeMap::new();
        for reported in owners.values().flatten() {
            families.entry(reported.0.name.as_str()).or_default().push(reported);
        }
        for (name, members) in families {
            let Some((descriptor, _)) = members.first() else { continue };
            let counter = descriptor.metric_type == MetricType::Counter;
            let plain = name.strip_suffix("_total").filter(|_| counter).unwrap_or(name);
            let kind = if counter { ConstCounter::<f64>::new(0.0).metric_type() } else { ConstGauge::<f64>::new(0.0).metric_type() };
            let mut family = encoder.encode_descriptor(plain, &descriptor.help, None, kind)?;
            for (_, metric) in members {
                let encoder = family.encode_family(&metric.labels)?;
                if counter {
                    ConstCounter::new(metric.value).encode(encoder)?;
                } else {
                    ConstGauge::new(metric.value).encode(encoder)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use banhbaoring_pipeline::report::ComponentState;
    use banhbaoring_testing::dashboard::{asked, exposed};

    use super::Metrics;

    #[test]
    fn every_metric_of_the_dashboard_is_exposed() {
        let metrics = Metrics::default();
        metrics.reconciled("Store", 0.1, true);
        metrics.unchanged("Store");
        metrics.wrote("Store", 1);
        metrics.component("team", "prod", "Store", "store", ComponentState::Ready);
        metrics.activated("store", "0.1.0");
        metrics.plugin_failed("store", "PullFailed");
        metrics.leads(true);
        let exposed = exposed(&metrics.encode().unwrap());
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/operator/dashboards/operator.json");
        let dashboard = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let asked = asked(&dashboard, &[]);
        assert!(asked.len() >= 8, "{asked:?}");
        let absent: Vec<_> = asked.difference(&exposed).collect();
        assert!(absent.is_empty(), "{absent:?} of the dashboard are not among {exposed:?}");
    }
}
