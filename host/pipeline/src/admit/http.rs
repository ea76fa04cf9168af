//! HTTP of needs and actions: where it may go, with which method and path, and which credentials the host may put in.

use banhbaoring_contract::http::{Capture, Credential, Destination, Endpoint, Injection, InjectionSource, Method, Scheme, TrustRoot};

use super::asker::Asker;
use super::refusal::{Findings, Reason, flow, shown};
use super::syntax::{is_pointer, is_subdomain};

/// Headers, query parameters, injections and exposed pointers of one request.
const PARTS: usize = 64;
/// Headers that say how a message is carried: they are the host's.
const CARRIAGE: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks a request and, if it logs in first, its login.
pub(super) fn check(asker: &Asker<'_>, findings: &mut Findings, endpoint: &Endpoint, method: Method, who: &str) {
    destination(asker, findings, endpoint, method, &endpoint.path, who);
    if let Some(TrustRoot::Secret(key)) = endpoint.tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
        asker.secret(findings, None, asker.namespace(), &key.secret, &format!("{who}: tls.ca"));
    }
    injections(asker, findings, &endpoint.inject, who);
    match &endpoint.credential {
        None => {}
        Some(Credential::Secret(credential)) => {
            asker.secret(findings, None, asker.namespace(), &credential.from.secret, &format!("{who}: credential"));
        }
        Some(Credential::Login(login)) => {
            destination(asker, findings, endpoint, login.method, &login.path, who);
            injections(asker, findings, &login.inject, who);
        }
    }
    form(findings, endpoint, who);
}

/// What holds whatever is granted.
fn form(findings: &mut Findings, endpoint: &Endpoint, who: &str) {
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            findings.add(Reason::HttpNotGranted, None, format!("{who}: {what}"));
        }
    };
    let bounded = |text: &str| text.len() <= 8192 && !text.chars().any(|c| matches!(c, '\r' | '\n' | '\0'));
    let login = match &endpoint.credential {
        Some(Credential::Login(login)) => Some(login.as_ref()),
        _ => None,
    };
    let injections = || endpoint.inject.iter().chain(login.into_iter().flat_map(|login| &login.inject));
    let header_of = |injection: &Injection| injection.pointer.strip_prefix("/headers/").map(ToOwned::to_owned);
    let mut headers: Vec<String> = endpoint.headers.keys().cloned().chain(injections().filter_map(header_of)).collect();
    headers.extend(match &endpoint.credential {
        Some(Credential::Secret(credential)) => Some(credential.header.clone()),
        Some(Credential::Login(login)) => Some(login.header.clone()),
        None => None,
    });
    expect(headers.len() <= PARTS && headers.iter().all(|name| is_header(name)), "expected names of headers that are a request's own");
    expect(endpoint.headers.values().all(|value| bounded(value)), "headers are malformed or too long");
    expect(
        endpoint.query.len() <= PARTS && endpoint.query.iter().all(|(name, value)| bounded(name) && bounded(value)),
        "query parameters are malformed or too many",
    );
    let placed = |injection: &Injection| {
        bounded(&injection.prefix) && is_pointer(&injection.pointer) && {
            let rest = injection.pointer.strip_prefix("/headers/").or_else(|| injection.pointer.strip_prefix("/body/"));
            rest.is_some_and(|rest| !rest.is_empty())
        }
    };
    expect(injections().count() <= PARTS && injections().all(placed), "expected injections at `/headers/NAME` or below `/body/`");
    expect(
        endpoint.expose.len() <= PARTS && endpoint.expose.iter().all(|pointer| is_pointer(pointer)),
        "expected `expose` to be a few JSON pointers",
    );
    let server_name = endpoint.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    expect(server_name.is_none_or(is_subdomain), "expected tls.serverName to be a DNS name");
    match &endpoint.destination {
        Destination::Service(to) => expect(to.hostname.as_deref().is_none_or(is_subdomain), "expected `hostname` to be a DNS label"),
        Destination::Host(to) => {
            expect(is_subdomain(&to.host) && to.host.contains('.'), "expected `host` to be a whole DNS name");
            let open = endpoint.scheme == Scheme::Http && (endpoint.credential.is_some() || !endpoint.inject.is_empty());
            expect(!open, "credentials leave the cluster over https alone");
        }
    }
}

/// What is captured is never also shown.
pub(super) fn captures(findings: &mut Findings, endpoint: &Endpoint, captures: &[Capture], who: &str) {
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for capture in captures {
        if let Some(shows) = endpoint.expose.iter().find(|exposed| within(exposed, &capture.pointer) || within(&capture.pointer, exposed)) {
            let message = format!("{who}: {} would be captured and shown by {}; expose less", shown(&capture.pointer), shown(shows));
            findings.add(Reason::HttpNotGranted, None, message);
        }
    }
}

fn is_header(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=128).contains(&name.len()) && name.bytes().all(token) && !CARRIAGE.contains(&name.to_ascii_lowercase().as_str())
}

fn injections(asker: &Asker<'_>, findings: &mut Findings, injections: &[Injection], who: &str) {
    for injection in injections {
        match &injection.from {
            InjectionSource::Secret(key) => {
                asker.secret(findings, None, asker.namespace(), &key.secret, &format!("{who}: inject {}", shown(&injection.pointer)));
            }
            InjectionSource::Token(token) => {
                asker.audience(findings, None, &token.audience, &format!("{who}: inject {}", shown(&injection.pointer)));
            }
        }
    }
}

fn destination(asker: &Asker<'_>, findings: &mut Findings, endpoint: &Endpoint, method: Method, path: &str, who: &str) {
    let method = method.as_str();
    let reaches = |service: Option<&str>, host: Option<&str>| match &endpoint.destination {
        Destination::Service(to) => {
            let namespace = to.namespace.as_deref().or(asker.namespace());
            let own = asker.own.has("", "Service", namespace, &to.name);
            let input = asker.is_input(&to.name) && (namespace == asker.namespace() || namespace.is_some_and(|name| asker.is_input(name)));
            (service == Some("owned") && own) || (service == Some("input") && input)
        }
        Destination::Host(to) => host.is_some_and(|host| host.eq_ignore_ascii_case(&to.host)),
    };
    let granted = asker.plugin.grants.http.iter().any(|grant| {
        reaches(grant.service.as_deref(), grant.host.as_deref())
            && grant.methods.iter().any(|granted| granted == method)
            && grant.paths.iter().any(|prefix| prefix.starts_with('/') && path.starts_with(prefix.as_str()))
    });
    if is_plain_path(path) && granted {
        return;
    }
    let (to, line) = match &endpoint.destination {
        Destination::Service(to) => (format!("the Service {}", shown(&to.name)), "service: owned".to_owned()),
        Destination::Host(to) => (shown(&to.host), format!("host: {}", shown(&to.host))),
    };
    findings.add(
        Reason::HttpNotGranted,
        None,
        format!(
            "{who}: {method} {} at {to}; a Service must be the owner's own or an input, the path plain; add to the Plugin's grants: http: \
             [{{{line}, methods: [{method}], paths: {}}}]",
            shown(path),
            flow(&[path])
        ),
    );
}

/// A path that means what it says: what is decoded or normalised later could leave a granted prefix.
fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 2048
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'%' | b'\\' | b'?' | b'#' | b';'))
        && !path.contains("//")
        && path.split('/').all(|segment| segment != "." && segment != "..")
}

#[cfg(test)]
mod tests {
    use super::is_plain_path;

    #[test]
    fn a_path_cannot_leave_its_prefix_later() {
        assert!(is_plain_path("/v1/sys/health"));
        for path in ["", "v1", "/v1/sys/../auth", "/v1/sys/%2e%2e/auth", "/v1//sys", "/v1\\sys", "/v1?x", "/v1#x", "/v1/./x", "/v1/;x"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }
}
