//! What comes after what. Components that wait for something that is not there, or for themselves, are left out, and so are those that
//! wait for them.

use std::collections::{BTreeMap, BTreeSet};

use super::{GraphProblem, Node, list};

/// Sorts topologically, ties by name.
pub(super) fn sort(mut candidates: BTreeMap<String, Node>, problems: &mut Vec<GraphProblem>) -> Vec<Node> {
    let served: BTreeSet<String> =
        candidates.keys().cloned().chain(problems.iter().filter_map(|problem| problem.component.clone())).collect();
    loop {
        leave_out_without_dependency(&mut candidates, &served, problems);
        let (order, rest) = order(&candidates);
        if rest.is_empty() {
            return order.iter().filter_map(|name| candidates.remove(name)).collect();
        }
        let cycle = cycle(&candidates, &rest);
        let path = list(&cycle.iter().chain(cycle.first()).map(String::as_str).collect::<Vec<_>>());
        for name in &cycle {
            candidates.remove(name);
            problems.push(GraphProblem {
                component: Some(name.clone()),
                reason: "DependencyCycle",
                message: format!("expected components that wait for each other in one direction, found a cycle: {path}; use other versions of their plugins"),
                field: None,
            });
        }
    }
}

fn leave_out_without_dependency(candidates: &mut BTreeMap<String, Node>, served: &BTreeSet<String>, problems: &mut Vec<GraphProblem>) {
    loop {
        let missing = candidates.values().find_map(|node| {
            let dependency = node.component.after.iter().find(|dependency| !candidates.contains_key(&dependency.component))?;
            Some((node.component.name.clone(), node.plugin.name.clone(), dependency.component.clone()))
        });
        let Some((component, plugin, dependency)) = missing else { return };
        let message = if served.contains(&dependency) {
            format!("expected component {dependency} before it, found that it is left out; see its own problem")
        } else {
            format!(
                "expected component {dependency} before it, found no active plugin that serves it; install one, or another version of plugin {plugin}"
            )
        };
        candidates.remove(&component);
        problems.push(GraphProblem { component: Some(component), reason: "DependencyMissing", message, field: None });
    }
}

/// Names in order, and those that cannot be ordered.
fn order(candidates: &BTreeMap<String, Node>) -> (Vec<String>, BTreeSet<String>) {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = candidates
        .iter()
        .map(|(name, node)| (name.as_str(), node.component.after.iter().map(|d| d.component.as_str()).collect()))
        .collect();
    let mut ready: BTreeSet<&str> = waiting.iter().filter(|(_, after)| after.is_empty()).map(|(name, _)| *name).collect();
    let mut order = Vec::with_capacity(candidates.len());
    while let Some(next) = ready.pop_first() {
        waiting.remove(next);
        for (name, after) in &mut waiting {
            if after.remove(next) && after.is_empty() {
                ready.insert(name);
            }
        }
        order.push(next.to_owned());
    }
    (order, waiting.into_keys().map(str::to_owned).collect())
}

/// One cycle among those that cannot be ordered, beginning with its smallest name.
fn cycle(candidates: &BTreeMap<String, Node>, rest: &BTreeSet<String>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut at = rest.first().cloned();
    while let Some(name) = at {
        if let Some(start) = path.iter().position(|earlier| *earlier == name) {
            let mut cycle = path.split_off(start);
            // From what waits to what it waits for was walked; people read the other way round.
            cycle.reverse();
            let smallest = cycle.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(index, _)| index);
            cycle.rotate_left(smallest);
            return cycle;
        }
        let after = candidates.get(&name).map(|node| node.component.after.as_slice()).unwrap_or_default();
        at = after.iter().map(|dependency| &dependency.component).filter(|name| rest.contains(*name)).min().cloned();
        path.push(name);
    }
    path
}
