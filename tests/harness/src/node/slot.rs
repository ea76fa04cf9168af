//! Which of this machine's nodes one is. The number decides every name and address that others on the machine can see, so nodes do not meet.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    net::Ipv4Addr,
};

use crate::{Error, Result};

const COUNT: u8 = 16;

/// The number of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u8);

/// A number that is ours as long as this value lives.
#[derive(Debug)]
pub struct Held {
    slot: Slot,
    // The lock ends with the file, also when its process is killed.
    _lock: File,
}

impl Held {
    /// Takes the lowest number that nobody holds.
    ///
    /// # Errors
    /// [`Error::Node`] when all are held, [`Error::Machine`] when the folder of locks cannot be used.
    pub fn take() -> Result<Self> {
        let folder = env::temp_dir().join("banhbaoring-nodes");
        fs::create_dir_all(&folder).map_err(Error::machine(format!("make {}", folder.display())))?;
        for number in 0..COUNT {
            let path = folder.join(number.to_string());
            let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let lock = options.map_err(Error::machine(format!("open {}", path.display())))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { slot: Slot(number), _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(Error::machine(format!("lock {}", path.display()))(source)),
            }
        }
        Err(Error::Node { what: format!("one of {COUNT} nodes to be free"), saw: format!("all locks in {} held", folder.display()) })
    }

    /// The number.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }
}

impl Slot {
    /// The number, as the process that holds the node prints it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number < COUNT).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The machine's end of the cable.
    #[must_use]
    pub fn link(self) -> String {
        format!("bbr-node-{}", self.0)
    }

    /// The folder of its control groups, in every hierarchy.
    #[must_use]
    pub fn control_group(self) -> String {
        format!("banhbaoring-node-{}", self.0)
    }

    /// The machine's address on the cable: where pods find servers of a test.
    #[must_use]
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, self.0, 1)
    }

    /// The node's address on the cable.
    #[must_use]
    pub fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, self.0, 2)
    }

    /// The network of its pods.
    #[must_use]
    pub fn pods(self) -> String {
        format!("10.244.{}.0/24", self.0)
    }

    /// The network of its Services.
    #[must_use]
    pub fn services(self) -> String {
        format!("{}/20", self.service(0))
    }

    /// An address in the network of its Services.
    #[must_use]
    pub fn service(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 96, self.0 * 16, number)
    }

    /// The address of its DNS.
    #[must_use]
    pub fn dns(self) -> Ipv4Addr {
        self.service(10)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_nodes_share_a_network_or_a_name_that_the_machine_sees() {
        let seen: BTreeSet<_> = (0..COUNT)
            .flat_map(|number| {
                let slot = Slot(number);
                [slot.link(), slot.control_group(), slot.host().to_string(), slot.pods(), slot.services()]
            })
            .collect();
        assert_eq!(seen.len(), 5 * usize::from(COUNT));
        assert!(seen.iter().all(|name| !name.starts_with("bbr") || name.len() <= 15), "the kernel cuts names of links");
    }

    #[test]
    fn a_held_number_is_not_given_again() {
        let (first, second) = (Held::take().expect("a node"), Held::take().expect("another"));
        assert_ne!(first.slot(), second.slot());
    }
}
