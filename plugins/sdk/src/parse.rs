//! Reads the JSON that the host sends into the author's types; what does not fit becomes a failure that names the field.

use serde::de::DeserializeOwned;

use crate::wit::Failure;

/// Reads `text` as `T`. `base` is the path of the value in the owner: `spec.unseal`. The only way: a second one, from a value that is already parsed, is
/// the code of all types once more, and was a seventh of a plugin.
pub(crate) fn config<T: DeserializeOwned>(text: &str, base: &str) -> Result<T, Failure> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    T::deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track))
        .map_err(|error| invalid(base, &track.path().to_string(), &error.to_string()))
}

/// Reads something that the host alone wrote.
pub(crate) fn host<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::internal("UnreadableRequest", format!("{what} is not what the contract says: {error}; update the plugin or the host"))
    })
}

/// `/redis/replicas` as `spec.redis.replicas`.
pub(crate) fn path_of(config_path: &str) -> String {
    let mut path = "spec".to_owned();
    for token in config_path.split('/').filter(|token| !token.is_empty()) {
        path.push('.');
        path.push_str(&token.replace("~1", "/").replace("~0", "~"));
    }
    path
}

fn invalid(base: &str, path: &str, message: &str) -> Failure {
    // A line and a column of text that the host composed help nobody.
    let message = message.split(" at line ").next().unwrap_or(message);
    let mut field = base.to_owned();
    let mut push = |token: &str| {
        if !token.starts_with('[') && !field.is_empty() {
            field.push('.');
        }
        field.push_str(token);
    };
    if !path.is_empty() && path != "." {
        push(path);
    }
    // serde tells of these at the object that lacks or has them.
    for start in ["missing field `", "unknown field `"] {
        if let Some(name) = message.strip_prefix(start).and_then(|rest| rest.split('`').next())
            && path.rsplit('.').next() != Some(name)
        {
            push(name);
        }
    }
    Failure::invalid(field, message)
}

#[cfg(test)]
mod tests {
    use super::{config, path_of};
    use crate::wit::FailureClass;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Config {
        #[allow(dead_code, reason = "only read")]
        key_id: String,
        #[allow(dead_code, reason = "only read")]
        #[serde(default)]
        nodes: Vec<Node>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Node {
        #[allow(dead_code, reason = "only read")]
        port: u16,
    }

    fn field(text: &str) -> String {
        let failure = config::<Config>(text, "spec.unseal").unwrap_err();
        assert_eq!(failure.class, FailureClass::InvalidConfig);
        failure.field.unwrap()
    }

    #[test]
    fn a_failure_names_the_field() {
        assert_eq!(field("{}"), "spec.unseal.keyId");
        assert_eq!(field(r#"{"keyId": 3}"#), "spec.unseal.keyId");
        assert_eq!(field(r#"{"keyId": "a", "keyID": "b"}"#), "spec.unseal.keyID");
        assert_eq!(field(r#"{"keyId": "a", "nodes": [{"port": 1}, {"port": "x"}]}"#), "spec.unseal.nodes[1].port");
        assert_eq!(field(r#"{"keyId": "a", "nodes": [{}]}"#), "spec.unseal.nodes[0].port");
        assert_eq!(field("[]"), "spec.unseal");
    }

    #[test]
    fn a_message_does_not_talk_of_lines() {
        let failure = config::<Config>(r#"{"keyId": 3}"#, "spec").unwrap_err();
        assert_eq!(failure.message, "invalid type: integer `3`, expected a string");
    }

    #[test]
    fn a_pointer_becomes_a_path() {
        assert_eq!(path_of(""), "spec");
        assert_eq!(path_of("/extensions/my~1redis"), "spec.extensions.my/redis");
    }
}
