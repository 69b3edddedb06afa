//! Where the health of a process is told, and asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::env::{Env, Mistakes, Process};
use super::settings::{HEALTH_ADDR, LISTEN_ADDR, TLS_CERT};
use super::variable;

pub(super) fn addr(env: &mut Env<'_>) -> Option<SocketAddr> {
    env.read(&HEALTH_ADDR, |value| {
        value.parse().map_err(|_| format!("`{value}` is no address; write IP:PORT, e.g. 127.0.0.1:50052"))
    })
}

/// Where a probe on the machine of a process asks for its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// Absent where the process tells it nowhere: a worker without HEALTH_ADDR.
    pub addr: Option<SocketAddr>,
    pub tls: bool,
}

impl ProbeConfig {
    /// That of a process with the environment of this one: HEALTH_ADDR, else where a server listens.
    pub fn from_env(process: Process) -> Result<Self, Mistakes> {
        Self::read(process, &variable)
    }

    fn read(process: Process, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut env = Env::of(process, lookup);
        let own = addr(&mut env);
        let listens = match (own, process) {
            (None, Process::Server | Process::Both) => env.read(&LISTEN_ADDR, |value| {
                value.parse().map_err(|_| format!("`{value}` is no address; write IP:PORT, e.g. 127.0.0.1:50051"))
            }),
            _ => None,
        };
        let tls = own.is_none() && env.text(&TLS_CERT).is_some();
        env.finish(Self { addr: own.or(listens).map(reached_here), tls })
    }
}

/// The address by which this machine reaches a listener: one on all addresses is on loopback too.
fn reached_here(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, addr.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, addr.port()).into(),
        _ => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(process: Process, vars: &[(&str, &str)]) -> Result<ProbeConfig, String> {
        let lookup = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ProbeConfig::read(process, &lookup).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_probe_asks_where_its_own_process_tells_it() {
        let tls = ("TLS_CERT", "cert.pem");
        for (process, vars, addr, tls) in [
            (Process::Server, &[][..], Some("127.0.0.1:50051"), false),
            (Process::Server, &[("LISTEN_ADDR", "0.0.0.0:443"), tls], Some("127.0.0.1:443"), true),
            (Process::Server, &[("LISTEN_ADDR", "[::]:443")], Some("[::1]:443"), false),
            (Process::Server, &[("LISTEN_ADDR", "10.1.2.3:443")], Some("10.1.2.3:443"), false),
            (Process::Server, &[("HEALTH_ADDR", "0.0.0.0:8"), tls], Some("127.0.0.1:8"), false),
            (Process::Worker, &[("HEALTH_ADDR", "[::]:8")], Some("[::1]:8"), false),
            (Process::Worker, &[("LISTEN_ADDR", "0.0.0.0:443"), tls], None, false),
        ] {
            let addr = addr.map(|addr| addr.parse().unwrap());
            assert_eq!(read(process, vars), Ok(ProbeConfig { addr, tls }), "{vars:?}");
        }
        for name in ["HEALTH_ADDR", "LISTEN_ADDR"] {
            let said = read(Process::Server, &[(name, "here")]).unwrap_err();
            assert!(said.starts_with(&format!("{name}: ")), "{said}");
        }
    }
}
