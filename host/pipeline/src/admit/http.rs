//! HTTP of needs and actions: where it may go, with which method and path, and which credentials the host may put in.

use banhbaoring_contract::http::{Credential, Destination, Endpoint, Injection, InjectionSource, Method, TrustRoot};

use super::asker::Asker;
use super::refusal::{Findings, Reason, flow, shown};

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
    let bounded = |text: &str| text.len() <= 8192 && !text.chars().any(|c| matches!(c, '\r' | '\n' | '\0'));
    if endpoint.headers.len() > 64 || !endpoint.headers.iter().all(|(name, value)| bounded(name) && bounded(value)) {
        findings.add(Reason::HttpNotGranted, None, format!("{who}: headers are malformed or too many"));
    }
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
    let method = name(method);
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

fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::List => "LIST",
    }
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
