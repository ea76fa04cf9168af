//! Where a request may go. A Service is resolved to the addresses of pods that this owner's components made, from the pods themselves: neither DNS nor
//! EndpointSlices, which whoever may write in the namespace can point anywhere. A granted host is resolved by DNS to addresses outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use banhbaoring_contract::http::{Destination, HostDestination, ServiceDestination};
use banhbaoring_pipeline::contract::ObjectReference;
use serde_json::Value;

use super::{Asking, ExchangeError};
use crate::cluster::Cluster;
use crate::request::{Answer, Collection, Endpoint, Seen, text};

/// Pods of one Service that are looked at.
const MAX_PODS: usize = 1_000;
/// Addresses that are tried.
const MAX_ADDRESSES: usize = 16;
/// Controllers above a pod: a ReplicaSet and what made it.
const MAX_CONTROLLERS: usize = 2;

/// Where to, for sure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The name that the server's certificate must carry, unless the request says another.
    pub(super) name: String,
    pub(super) port: u16,
    /// At least one, sorted.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Cluster {
    pub(super) async fn resolve(&self, asking: Asking<'_>, destination: &Destination) -> Result<Resolved, ExchangeError> {
        match destination {
            Destination::Service(to) => self.resolve_service(asking, to).await,
            Destination::Host(to) => self.resolve_host(to).await,
        }
    }

    async fn resolve_service(&self, asking: Asking<'_>, to: &ServiceDestination) -> Result<Resolved, ExchangeError> {
        let namespace = to.namespace.as_deref().map_or_else(|| asking.namespace(), Ok)?;
        let reference = ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: to.name.clone(),
        };
        let account = &asking.plugin.account;
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(account), &reference).await?;
        let missing = || ExchangeError::Missing(format!("there is no Service {namespace}/{} yet", to.name));
        let service = endpoint.get(Answer::Whole).await?.ok_or_else(missing)?;
        let own: BTreeSet<&str> = asking.inventory.children.iter().filter_map(|entry| entry.uid.as_deref()).collect();
        if !own.contains(Seen::of(&service).uid.as_str()) {
            let message = format!("Service {namespace}/{} is not one that this owner's components made; it is not asked", to.name);
            return Err(ExchangeError::Refused(message));
        }
        let (selector, port) = selection(&service, to)?;
        let publishes_unready = service.pointer("/spec/publishNotReadyAddresses").and_then(Value::as_bool) == Some(true);
        let collection = Collection::find(&self.clients, &self.discovery, account, ("v1", "Pod"), Some(namespace)).await?;
        let (mut addresses, mut why_not, mut is_coming) = (BTreeSet::new(), None, false);
        let (mut from, mut looked_at) = (None, 0);
        loop {
            let page = collection.page(&selector, from.as_deref()).await?;
            looked_at += page.items.len();
            for pod in &page.items {
                if !answers_to(pod, to) || !(publishes_unready || is_ready(pod)) {
                    continue;
                }
                match self.address(asking, &own, pod, &port).await? {
                    Candidate::Address(address) => {
                        addresses.insert(address);
                    }
                    Candidate::Coming => is_coming = true,
                    Candidate::Refused(why) => why_not = Some(why),
                }
            }
            from = page.next;
            if from.is_none() || looked_at >= MAX_PODS {
                break;
            }
        }
        let port = addresses.first().map_or(0, SocketAddr::port);
        let name = match &to.hostname {
            Some(hostname) => format!("{hostname}.{}.{namespace}.svc", to.name),
            None => format!("{}.{namespace}.svc", to.name),
        };
        if addresses.is_empty() {
            return Err(match why_not {
                Some(why) if !is_coming => ExchangeError::Refused(format!("{name}: {why}")),
                _ => ExchangeError::Unreachable(format!("{name}: no pod of it can be asked yet")),
            });
        }
        Ok(Resolved { name, port, addresses: addresses.into_iter().take(MAX_ADDRESSES).collect() })
    }

    /// The address of a pod, if it is this owner's.
    async fn address(&self, asking: Asking<'_>, own: &BTreeSet<&str>, pod: &Value, port: &TargetPort) -> Result<Candidate, ExchangeError> {
        let name = text(pod, "/metadata/name");
        if pod.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true) {
            return Ok(Candidate::Refused(format!("the pod {name} has its node's network")));
        }
        if !self.is_own(asking, own, pod).await? {
            return Ok(Candidate::Refused(format!("the pod {name} was not made by this owner's components")));
        }
        let Some(address) = pod.pointer("/status/podIP").and_then(Value::as_str).and_then(|text| text.parse::<IpAddr>().ok()) else {
            return Ok(Candidate::Coming);
        };
        let of_node = pod.pointer("/status/hostIPs").and_then(Value::as_array).into_iter().flatten();
        let of_node = of_node.filter_map(|address| address.get("ip")).chain(pod.pointer("/status/hostIP"));
        if of_node.filter_map(Value::as_str).filter_map(|text| text.parse::<IpAddr>().ok()).any(|node| node == address) {
            return Ok(Candidate::Refused(format!("the pod {name} has its node's address")));
        }
        if let Some(what) = inside(address) {
            return Ok(Candidate::Refused(format!("the pod {name} has {what}")));
        }
        let Some(port) = port.of(pod) else {
            return Ok(Candidate::Refused(format!("the pod {name} has no port {port:?}")));
        };
        Ok(Candidate::Address(SocketAddr::new(address, port)))
    }

    /// Whether the inventory records the pod or what controls it.
    async fn is_own(&self, asking: Asking<'_>, own: &BTreeSet<&str>, pod: &Value) -> Result<bool, ExchangeError> {
        let mut object = pod.clone();
        for _ in 0..=MAX_CONTROLLERS {
            if own.contains(text(&object, "/metadata/uid")) {
                return Ok(true);
            }
            let Some(controller) = controller(&object) else { return Ok(false) };
            if own.contains(text(controller, "/uid")) {
                return Ok(true);
            }
            let reference = ObjectReference {
                api_version: text(controller, "/apiVersion").to_owned(),
                kind: text(controller, "/kind").to_owned(),
                namespace: Some(text(&object, "/metadata/namespace").to_owned()),
                name: text(controller, "/name").to_owned(),
            };
            let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&asking.plugin.account), &reference).await?;
            match endpoint.get(Answer::Metadata).await? {
                Some(found) if text(&found, "/metadata/uid") == text(controller, "/uid") => object = found,
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    async fn resolve_host(&self, to: &HostDestination) -> Result<Resolved, ExchangeError> {
        let unreachable = |why: String| ExchangeError::Unreachable(format!("{}: {why}", to.host));
        let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await.map_err(|error| unreachable(error.to_string()))?;
        let mut addresses: Vec<SocketAddr> = found.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let forbidden = self.clients.api_server().await;
        for address in &addresses {
            // One bad address is enough: which of them is taken would be left to chance.
            let what = if forbidden.contains(&address.ip()) { Some("the API server's address") } else { inside(address.ip()) };
            if let Some(what) = what {
                return Err(ExchangeError::Refused(format!("{} has {what}; it is not asked", to.host)));
            }
        }
        if addresses.is_empty() {
            return Err(unreachable("it has no address".to_owned()));
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(Resolved { name: to.host.clone(), port: to.port, addresses })
    }
}

fn controller(object: &Value) -> Option<&Value> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array)?;
    owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

/// A pod that a Service selects.
enum Candidate {
    Address(SocketAddr),
    /// It has no address yet.
    Coming,
    /// It is not asked, and why.
    Refused(String),
}

/// How a Service's port is called at its pods.
#[derive(Debug, PartialEq, Eq)]
enum TargetPort {
    Number(u16),
    Name(String),
}

impl TargetPort {
    fn of(&self, pod: &Value) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => {
                let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
                let ports = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
                let port =
                    ports.filter(|port| port.get("name").and_then(Value::as_str) == Some(name)).find_map(|port| port.get("containerPort"));
                u16::try_from(port?.as_u64()?).ok()
            }
        }
    }
}

/// The pods that a Service selects and the port that it leads to, if it is one whose pods can be known.
fn selection(service: &Value, to: &ServiceDestination) -> Result<(BTreeMap<String, String>, TargetPort), ExchangeError> {
    if text(service, "/spec/type") == "ExternalName" {
        return Err(ExchangeError::Refused(format!("Service {} is an ExternalName, which leads anywhere", to.name)));
    }
    let selector: BTreeMap<String, String> =
        service.pointer("/spec/selector").and_then(|selector| serde_json::from_value(selector.clone()).ok()).unwrap_or_default();
    if selector.is_empty() {
        return Err(ExchangeError::Refused(format!("Service {} selects no pods: who writes its endpoints is not known", to.name)));
    }
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let port = ports.filter(|port| matches!(text(port, "/protocol"), "" | "TCP")).find(|port| port.get("port") == Some(&to.port.into()));
    let Some(port) = port else {
        return Err(ExchangeError::Missing(format!("Service {} has no TCP port {}", to.name, to.port)));
    };
    let target = match port.get("targetPort") {
        Some(Value::String(name)) => TargetPort::Name(name.clone()),
        Some(Value::Number(number)) => TargetPort::Number(number.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or(to.port)),
        _ => TargetPort::Number(to.port),
    };
    Ok((selector, target))
}

fn answers_to(pod: &Value, to: &ServiceDestination) -> bool {
    let is_over = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    let named = |hostname: &String| text(pod, "/spec/hostname") == hostname && text(pod, "/spec/subdomain") == to.name;
    !is_over && to.hostname.as_ref().is_none_or(named)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && conditions.filter(|condition| text(condition, "/type") == "Ready").any(|condition| text(condition, "/status") == "True")
}

/// Why an address is none that a plugin's request may go to, whoever says that it is a pod's or a host's.
fn inside(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_loopback() {
        Some("a loopback address")
    } else if link_local {
        Some("a link-local address")
    } else if address.is_unspecified() || address.is_multicast() {
        Some("no address of one machine")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_inside_are_known_in_all_their_forms() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.1.1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(inside(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in ["10.0.0.7", "192.168.1.1", "203.0.113.9", "fd00::7", "2001:db8::1"] {
            assert_eq!(inside(address.parse().unwrap()), None, "{address}");
        }
    }

    fn to(port: u16, hostname: Option<&str>) -> ServiceDestination {
        ServiceDestination { name: "store".to_owned(), namespace: None, port, hostname: hostname.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_service_whose_pods_cannot_be_known_is_refused() {
        let ports =
            json!([{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}, {"port": 82}, {"port": 83, "protocol": "UDP"}]);
        let service = json!({"spec": {"selector": {"app": "store"}, "ports": ports}});
        assert_eq!(selection(&service, &to(80, None)).unwrap().1, TargetPort::Name("http".to_owned()));
        assert_eq!(selection(&service, &to(81, None)).unwrap().1, TargetPort::Number(8081));
        assert_eq!(selection(&service, &to(82, None)).unwrap().1, TargetPort::Number(82));
        assert!(matches!(selection(&service, &to(83, None)), Err(ExchangeError::Missing(_))));
        assert!(matches!(selection(&service, &to(90, None)), Err(ExchangeError::Missing(_))));
        for spec in [
            json!({"ports": ports}),
            json!({"selector": {}, "ports": ports}),
            json!({"type": "ExternalName", "externalName": "kubernetes.default.svc", "selector": {"app": "store"}, "ports": ports}),
        ] {
            assert!(matches!(selection(&json!({ "spec": spec }), &to(80, None)), Err(ExchangeError::Refused(_))));
        }
    }

    #[test]
    fn a_hostname_is_a_pods_own_behind_that_very_service() {
        let pod = |subdomain: &str, phase: &str| {
            json!({"spec": {"hostname": "store-0", "subdomain": subdomain, "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
                "status": {"phase": phase}})
        };
        assert!(answers_to(&pod("store", "Running"), &to(80, Some("store-0"))) && answers_to(&pod("store", "Running"), &to(80, None)));
        assert!(!answers_to(&pod("other", "Running"), &to(80, Some("store-0"))));
        assert!(!answers_to(&pod("store", "Running"), &to(80, Some("store-1"))));
        assert!(!answers_to(&pod("store", "Failed"), &to(80, None)));
        assert_eq!(TargetPort::Name("http".to_owned()).of(&pod("store", "Running")), Some(8080));
        assert_eq!(TargetPort::Name("none".to_owned()).of(&pod("store", "Running")), None);
    }
}
