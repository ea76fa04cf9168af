//! Which metrics a dashboard of Grafana asks for, and which a server exposes: two sets that a test compares. PromQL is not parsed: names of metrics are what is
//! left of an expression without texts, selectors, ranges, lists of labels, functions and words of the language.

use std::collections::BTreeSet;

use serde_json::Value;

/// Words that a list of labels in parentheses follows.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that stand alone.
const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// The metrics that the panels and the variables of a dashboard name. `variables` are filled into `${name}`.
#[must_use]
pub fn asked(dashboard: &Value, variables: &[(&str, &str)]) -> BTreeSet<String> {
    let mut expressions = Vec::new();
    collect(dashboard, &mut expressions);
    let filled = |text: &String| variables.iter().fold(text.clone(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
    expressions.iter().map(filled).flat_map(|text| names(&text)).collect()
}

/// The metrics of a page in Prometheus' text format.
#[must_use]
pub fn exposed(page: &str) -> BTreeSet<String> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn collect(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "expr" => expressions.push(text.clone()),
                    // `label_values(METRIC{…}, LABEL)` of a variable: the label is no metric.
                    Value::String(text) if name == "definition" => {
                        let inner = text.trim_start_matches("label_values(").trim_end_matches(')');
                        expressions.push(inner.rsplit_once(',').map_or(inner, |(metric, _)| metric).to_owned());
                    }
                    _ => collect(member, expressions),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, expressions)),
        _ => {}
    }
}

fn names(expression: &str) -> Vec<String> {
    let plain = without(&without(&without(expression, '"', '"'), '{', '}'), '[', ']');
    let mut found = Vec::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let word = &rest[start..];
        let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        rest = after;
        let next = after.trim_start();
        // `sum by (pod) (…)` is a call as well.
        let is_called = next.starts_with('(') || ["by", "without"].iter().any(|word| next.starts_with(&format!("{word} (")));
        if GROUPINGS.contains(&word) && is_called {
            rest = after.split_once(')').map_or("", |(_, rest)| rest);
        } else if !is_called && !WORDS.contains(&word) && !word.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(word.to_owned());
        }
    }
    found
}

/// The text without what stands between two marks.
fn without(text: &str, open: char, close: char) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once(open) {
        left.push_str(before);
        left.push(' ');
        rest = inner.split_once(close).map_or("", |(_, after)| after);
    }
    left + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_metrics_are_told_from_everything_else() {
        let dashboard = json!({"panels": [{"title": "by no means", "targets": [
            {"expr": "histogram_quantile(0.99, sum by (le, a_label) (rate(${p}_seconds_bucket{job=~\"$job\", x=\"fake_one\"}[$__rate_interval]))) * 1e3"},
            {"expr": "a:b_total offset 5m / on (pod) group_left (x_y) c_d or vector(0)"},
        ]}], "templating": {"list": [{"definition": "label_values(${p}_up{a=\"b\"}, pod)"}]}});
        let expected: BTreeSet<String> = ["vault_seconds_bucket", "a:b_total", "c_d", "vault_up"].map(str::to_owned).into();
        assert_eq!(asked(&dashboard, &[("p", "vault")]), expected);
    }

    #[test]
    fn samples_are_what_a_page_exposes_and_not_what_it_describes() {
        let page = "# HELP a_total text\n# TYPE gone gauge\na_total{x=\"y z\"} 1\nb 2\n\n";
        assert_eq!(exposed(page), ["a_total", "b"].map(str::to_owned).into());
    }
}
