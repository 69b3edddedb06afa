//! An address with a default that another process may have taken.

use std::net::SocketAddr;

use super::env::{Env, Setting};

/// Where a part of a process listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenAddr {
    /// Nowhere.
    #[default]
    Off,
    /// Here, and nowhere else.
    Configured(SocketAddr),
    /// At the default, or at a port soon after it.
    Default(SocketAddr),
}

impl ListenAddr {
    pub(super) fn read(env: &mut Env<'_>, setting: &Setting) -> Self {
        let is_default = env.is_left_out(setting);
        let addr = env.read(setting, |value| match value {
            "off" => Ok(Self::Off),
            addr => match (addr.parse(), is_default) {
                (Ok(addr), true) => Ok(Self::Default(addr)),
                (Ok(addr), false) => Ok(Self::Configured(addr)),
                (Err(_), _) => {
                    Err(format!("`{addr}` is no address; write IP:PORT, e.g. {}, or off", setting.shown_default()))
                }
            },
        });
        addr.unwrap_or_default()
    }

    /// The address, before a port is chosen; absent where it is off.
    #[must_use]
    pub fn addr(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Configured(addr) | Self::Default(addr) => Some(addr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::env::{Process, Range};
    use super::*;

    const ADDR: Setting = Setting {
        name: "ADDR",
        read_by: Process::Both,
        default: "127.0.0.1:8000",
        range: Range::Form("IP:PORT, or off"),
        meaning: "",
    };

    fn read(value: Option<&str>) -> Result<ListenAddr, String> {
        let lookup = |name: &str| value.filter(|_| name == "ADDR").map(str::to_owned);
        let mut env = Env::new(&lookup);
        let addr = ListenAddr::read(&mut env, &ADDR);
        env.finish(addr).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn an_address_is_the_default_one_only_where_none_was_configured() {
        let default = SocketAddr::from(([127, 0, 0, 1], 8000));
        for (value, addr) in [
            (None, ListenAddr::Default(default)),
            (Some(""), ListenAddr::Default(default)),
            (Some("127.0.0.1:8000"), ListenAddr::Configured(default)),
            (Some("[::1]:0"), ListenAddr::Configured("[::1]:0".parse().unwrap())),
            (Some("off"), ListenAddr::Off),
        ] {
            assert_eq!(read(value), Ok(addr), "{value:?}");
        }
        let said = read(Some("8000")).unwrap_err();
        assert!(said.starts_with("ADDR: `8000` is no address") && said.contains("127.0.0.1:8000, or off"), "{said}");
    }
}
