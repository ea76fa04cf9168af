//! Addresses of this machine that are not loopback, one for each pod that a process stands for: what the operator sends to pods never goes to loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Error, Result};

/// An address of the network for measurements (RFC 2544), which nobody routes. Given back when dropped.
#[derive(Debug)]
pub struct Address(IpAddr);

impl Address {
    /// Takes one that nobody in this process has; processes have networks of their own.
    ///
    /// # Errors
    /// [`Error::Machine`] or [`Error::Pod`] where this machine's addresses may not be changed: it takes the capability `CAP_NET_ADMIN`.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let process = u8::try_from(std::process::id() % 250).unwrap_or_default();
        let address = Self(Ipv4Addr::new(198, 18 + (high & 1), process, low).into());
        let output = address.ip("add")?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() || said.contains("exists") {
            return Ok(address);
        }
        Err(Error::Pod {
            reason: format!("expected to give this machine the address {}, found `{said}`; run with CAP_NET_ADMIN", address.0),
        })
    }

    /// The address.
    #[must_use]
    pub fn get(&self) -> IpAddr {
        self.0
    }

    fn ip(&self, what: &str) -> Result<std::process::Output> {
        let network = format!("{}/32", self.0);
        Command::new("ip").args(["address", what, &network, "dev", "lo"]).output().map_err(Error::machine("run ip"))
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        drop(self.ip("del"));
    }
}
