//! The rest of the world of [`super::world`]: what the controller of the StatefulSet, the kubelet and Raft do by themselves.

use super::world::{SimClaim, SimPod, World};

impl World {
    /// As `pkg/controller/statefulset` does it with parallel pods: missing ones are made, those too many go, then one is updated.
    pub fn controller(&mut self) {
        let Some(set) = self.set.as_mut() else { return };
        set.observed = set.generation;
        let number = |pointer: &str| i32::try_from(set.object.pointer(pointer).unwrap().as_i64().unwrap()).unwrap();
        let (replicas, partition) = (number("/spec/replicas"), number("/spec/updateStrategy/rollingUpdate/partition"));
        let made_for = set.object.pointer("/spec/volumeClaimTemplates/0/metadata/annotations/openbao.org~1cluster-uid");
        let made_for = made_for.and_then(|uid| uid.as_str()).map(ToOwned::to_owned);
        let (current, update) = (set.current.clone(), set.update.clone());
        self.pods.retain(|_, pod| !pod.ending);
        self.claims.retain(|ordinal, claim| !claim.ending || self.pods.contains_key(ordinal));
        for pod in self.pods.values_mut() {
            pod.age += 1;
        }
        for ordinal in 0..replicas {
            if !self.pods.contains_key(&ordinal) {
                let revision = if ordinal < partition { &current } else { &update };
                let uid = self.name("pod");
                let claim = self.name("claim");
                self.claims.entry(ordinal).or_insert_with(|| SimClaim { uid: claim, made_for: made_for.clone(), ..SimClaim::default() });
                self.pods.insert(ordinal, SimPod { uid, revision: revision.clone(), age: 0, ending: false, crashed: false, sealed: false });
            }
        }
        for (ordinal, pod) in &mut self.pods {
            pod.ending |= *ordinal >= replicas;
        }
        for ordinal in (partition.max(0)..replicas).rev() {
            let pod = &self.pods[&ordinal];
            if pod.revision != update && !pod.ending {
                self.restart(ordinal);
                break;
            }
            if !self.is_up(ordinal) {
                break;
            }
        }
        let all_updated = (0..replicas).all(|ordinal| self.is_up(ordinal) && self.pods[&ordinal].revision == update);
        if let Some(set) = self.set.as_mut().filter(|_| all_updated) {
            set.current = update;
        }
    }

    /// The controller ends a pod for an update. What this costs is what the whole of it is about.
    fn restart(&mut self, ordinal: i32) {
        let others: Vec<i32> = self.pods.keys().copied().filter(|other| *other != ordinal && !self.is_up(*other)).collect();
        if self.is_up(ordinal) {
            assert!(!self.busy, "{ordinal} is restarted while another node gives something up: {}", self.describe());
            assert!(others.is_empty(), "{ordinal} is restarted while {others:?} are down: {}", self.describe());
            let leads = self.leader.is_some_and(|(leader, _)| leader == ordinal);
            assert!(!leads || !self.lets_in || self.peers.len() == 1, "{ordinal} is restarted while it leads: {}", self.describe());
        }
        self.restarts.push(ordinal);
        self.pods.get_mut(&ordinal).unwrap().ending = true;
    }

    /// Nodes join, leaders are elected.
    pub fn raft(&mut self) {
        let is_first = self.peers.is_empty();
        let joining: Vec<i32> =
            self.claims.iter().filter(|(ordinal, claim)| claim.joined.is_none() && self.is_up(**ordinal)).map(|(o, _)| *o).collect();
        for ordinal in joining {
            if is_first && ordinal != 0 || !is_first && self.leader.is_none() {
                continue;
            }
            self.claims.get_mut(&ordinal).unwrap().joined = Some(if is_first { 9 } else { 0 });
            self.peers.insert(ordinal);
        }
        let leads = |ordinal: i32| self.peers.contains(&ordinal) && self.is_up(ordinal);
        let up = self.peers.iter().filter(|ordinal| self.is_up(**ordinal)).count();
        if up * 2 <= self.peers.len() {
            self.leader = None;
        } else if !self.leader.is_some_and(|(leader, _)| leads(leader)) {
            self.elect(None);
        }
        for claim in self.claims.values_mut() {
            claim.joined = claim.joined.map(|since| since + 1);
        }
    }
}
