//! Free ports that stay ours: held by a lock file, so that no other test process of this machine takes the same one.
//!
//! The range lies below the one from which the kernel takes ports for outgoing connections (32768 and up on Linux): a port cannot be taken
//! between the choice and the server's `listen`, nor while a killed server is away.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{Error, Result};

const FROM: u16 = 20_000;
const TO: u16 = 30_000;

/// A port of 127.0.0.1 that nobody else gets while this value lives. It is even, and the odd one above it is ours as well: `bao` listens there
/// for its cluster unless it is told otherwise.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // The lock ends with the file.
    _lock: File,
}

impl Port {
    /// Takes a free port.
    ///
    /// # Errors
    /// [`Error::NoPort`] when none is left, [`Error::Machine`] when the lock folder cannot be used.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = env::temp_dir().join("banhbaoring-ports");
        fs::create_dir_all(&folder).map_err(Error::machine(format!("make {}", folder.display())))?;
        // Every process begins elsewhere, so that the first try is mostly the last.
        let start = process::id().wrapping_mul(37);
        for _ in 0..(TO - FROM) / 2 {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let pair = start.wrapping_add(step) % u32::from((TO - FROM) / 2);
            let number = FROM + 2 * u16::try_from(pair).unwrap_or_default();
            let path = folder.join(number.to_string());
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(Error::machine(format!("open {}", path.display())))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Machine { what: format!("lock {}", path.display()), source });
                }
            }
            if [number, number + 1].iter().all(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(Error::NoPort { from: FROM, to: TO })
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:<number>`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_that_are_held_are_all_different_and_free() {
        let ports: Vec<_> = (0..50).map(|_| Port::take().expect("a port")).collect();
        let numbers: BTreeSet<_> = ports.iter().flat_map(|port| [port.number(), port.number() + 1]).collect();
        assert_eq!(numbers.len(), 100);
        for port in &ports {
            TcpListener::bind(port.address()).expect("nobody listens there");
        }
    }

    #[test]
    fn a_port_where_somebody_listens_is_not_taken() {
        let held = Port::take().expect("a port");
        let _listener = TcpListener::bind(held.address()).expect("listening");
        let number = held.number();
        drop(held);
        let others: Vec<_> = (0..100).map(|_| Port::take().expect("a port").number()).collect();
        assert!(!others.contains(&number));
    }
}
